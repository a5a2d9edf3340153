"""Tests of app.accounts.renewal."""

import asyncio
from base64 import urlsafe_b64encode

import pytest
from msgspec import json, structs

from app.accounts.lane import Lane
from app.accounts.renewal import (
    STORE_TRIES_CLOSING,
    STORE_TRIES_DEFECT,
    Adopted,
    Closed,
    Postponed,
    Refused,
    Renewal,
    Renewed,
    Uncertain,
    remembered,
)
from app.domain.account import Secret
from app.errors import StateError
from app.ports import (
    RenewalEvent,
    RenewalKind,
    RenewalRefused,
    RenewalUnknown,
    RenewalUnsent,
)
from tests.fakes.auth_server import FakeAuthServer
from tests.fakes.clock import FakeClock, settle
from tests.fakes.credential_store import FakeCredentialStore, account


class Bench:
    """One renewal over fakes, and one account that can be renewed."""

    def __init__(self):
        self.clock = FakeClock()
        self.server = FakeAuthServer(self.clock)
        self.store = FakeCredentialStore()
        self.account = self.store.put(account(), "rt-a1-0")
        self.lane = Lane(spacing_s=0.25, clock=self.clock, sleep=self.clock.sleep)
        self.renewal = Renewal(
            server=self.server,
            store=self.store,
            source=self.store,
            lane=self.lane,
            clock=self.clock,
            sleep=self.clock.sleep,
        )

    async def run(self):
        """Run the renewal to its end in virtual time."""
        task = asyncio.create_task(self.renewal.run(self.account))
        await self.clock.advance(100)
        return await task

    def overtake(self):
        """Let another process renew the account: its token is spent, its successor stored."""
        self.server.valid["a1"] = 1
        newer = structs.replace(self.account.credential, generation=1)
        return self.store.put(structs.replace(self.account, credential=newer), "rt-a1-1")


@pytest.fixture
def bench():
    """A renewal whose account nobody else touches."""
    return Bench()


async def test_a_renewal_reads_intends_spends_and_stores_in_that_order(bench):
    """The intent stands before the exchange, and the successor is stored before it is used."""
    bench.account = bench.store.put(structs.replace(bench.account, proxy_url=Secret("http://p")))
    result = await bench.run()
    assert bench.store.steps == ["refresh_token", "intend", "renewed"]
    assert [event.kind for _, event in bench.store.events] == [RenewalKind.RENEWED]
    assert isinstance(result, Renewed)
    assert result.account.credential.access_token == Secret("at-a1-1")
    assert result.account.credential.generation == 1
    assert bench.store.tokens["a1"] == Secret("rt-a1-1")
    assert bench.server.proxies == [Secret("http://p")]


async def test_a_newer_stored_generation_is_adopted_without_an_exchange(bench):
    """Another process had renewed the account before we looked."""
    newer = bench.overtake()
    assert await bench.run() == Adopted(newer)
    assert bench.server.seen == []


async def test_a_newer_generation_that_vanishes_is_no_reason_to_spend_an_old_token(bench):
    """The account is gone between two readings: its token is not current, so it stays."""
    bench.overtake()
    bench.store.gates["account"] = asyncio.Event()
    task = asyncio.create_task(bench.renewal.run(bench.account))
    await settle()
    bench.store.rows.clear()
    bench.store.gates["account"].set()
    await bench.clock.advance(1)
    assert await task == Postponed("superseded")
    assert bench.server.seen == []


async def test_an_account_without_a_refresh_token_is_refused(bench):
    """Nothing to spend and nothing newer."""
    bench.store.tokens.clear()
    assert await bench.run() == Refused("no_refresh_token", permanent=True)


async def test_an_account_that_moved_on_without_a_refresh_token_is_adopted(bench):
    """An operator replaced it by an access token alone."""
    newer = bench.overtake()
    bench.store.tokens.clear()
    assert await bench.run() == Adopted(newer)


async def test_whoever_comes_second_to_the_intent_adopts(bench):
    """Between reading the token and noting the intent another process was faster."""
    bench.store.gates["intend"] = asyncio.Event()
    task = asyncio.create_task(bench.renewal.run(bench.account))
    await settle()
    newer = bench.overtake()
    bench.store.gates["intend"].set()
    await bench.clock.advance(1)
    assert await task == Adopted(newer)
    assert bench.server.seen == []


async def test_the_loser_of_the_compare_and_set_adopts_the_winners_result(bench):
    """Two exchanges succeeded; what the other stored first is what counts."""
    task = asyncio.create_task(bench.renewal.run(bench.account))
    await settle()
    newer = bench.overtake()
    await bench.clock.advance(1)
    assert await task == Adopted(newer)


async def test_a_result_for_a_deleted_account_is_dropped(bench):
    """The account was deleted while the exchange ran."""
    task = asyncio.create_task(bench.renewal.run(bench.account))
    await settle()
    bench.store.rows.clear()
    await bench.clock.advance(1)
    assert await task == Postponed("gone")


async def test_a_loser_that_cannot_read_the_winner_is_uncertain(bench):
    """The token is spent and the store is away: nothing can be said."""
    bench.store.faults["account"] = [StateError("away")]
    task = asyncio.create_task(bench.renewal.run(bench.account))
    await settle()
    bench.overtake()
    await bench.clock.advance(1)
    assert await task == Uncertain("superseded")


@pytest.mark.parametrize("step", ["refresh_token", "intend"])
async def test_a_store_that_is_away_before_the_exchange_postpones_it(bench, step):
    """Nothing was spent."""
    bench.store.faults[step] = [StateError("away")]
    assert await bench.run() == Postponed("store_unavailable")
    assert bench.server.seen == []


@pytest.mark.parametrize("permanent", [True, False])
async def test_a_refusal_is_recorded(bench, permanent):
    """With its code and whether it is for good."""
    bench.server.before = [RenewalRefused("some_code", "text", permanent=permanent)]
    assert await bench.run() == Refused("some_code", permanent=permanent)
    assert bench.store.refusals == [("a1", "some_code", permanent)]


async def test_a_refusal_that_another_process_caused_is_none(bench):
    """`reused` means only that somebody spent the token: his result is adopted."""
    bench.store.gates["account"] = asyncio.Event()
    bench.server.valid["a1"] = 1
    task = asyncio.create_task(bench.renewal.run(bench.account))
    await settle()
    newer = bench.overtake()
    bench.store.gates["account"].set()
    await bench.clock.advance(1)
    assert await task == Adopted(newer)
    assert bench.store.refusals == []


async def test_a_refusal_of_a_token_that_was_replaced_since_takes_nothing_away(bench):
    """Between the last look and the note another process stored a new token."""
    bench.server.before = [RenewalRefused("invalid_grant", "text", permanent=True)]
    bench.store.gates["refused"] = asyncio.Event()
    task = asyncio.create_task(bench.renewal.run(bench.account))
    await bench.clock.advance(1)
    newer = bench.overtake()
    bench.store.gates["refused"].set()
    await bench.clock.advance(1)
    assert await task == Adopted(newer)
    assert bench.store.refusals == []
    assert bench.store.tokens["a1"] == Secret("rt-a1-1")


async def test_a_refusal_for_a_deleted_account_is_only_told(bench):
    """There is nothing to flag and nothing newer."""
    bench.server.before = [RenewalRefused("invalid_grant", "text", permanent=True)]
    bench.store.gates["refused"] = asyncio.Event()
    task = asyncio.create_task(bench.renewal.run(bench.account))
    await bench.clock.advance(1)
    bench.store.rows.clear()
    bench.store.gates["refused"].set()
    await bench.clock.advance(1)
    assert await task == Refused("invalid_grant", permanent=True)


async def test_a_servers_wish_to_be_left_alone_is_handed_on(bench):
    """What follows from it is the renewer's."""
    busy = RenewalRefused("rate_limited", "text", permanent=False, retry_after_s=77.0)
    bench.server.before = [busy]
    assert await bench.run() == Refused("rate_limited", permanent=False, retry_after_s=77.0)


@pytest.mark.parametrize("step", ["account", "refused"])
async def test_a_refusal_stands_even_if_it_cannot_be_recorded(bench, step):
    """The authorization server's word does not depend on our store, which is told of it later."""
    bench.store.faults[step] = [StateError("away")]
    bench.server.before = [RenewalRefused("invalid_grant", "text", permanent=True)]
    refused = await bench.run()
    assert refused == Refused("invalid_grant", permanent=True, untold=0)
    assert bench.store.refusals == []
    bench.store.faults["refused"] = [StateError("away")] * 5
    telling = asyncio.create_task(bench.renewal.tell("a1", refused))
    await bench.clock.advance(3)
    assert bench.store.refusals == []
    await bench.clock.advance(60)
    await telling
    assert bench.store.refusals == [("a1", "invalid_grant", True)]


@pytest.mark.parametrize(("faults", "told"), [(1, 0), (0, 1)])
async def test_a_gateway_that_closes_tells_once_more(bench, faults, told):
    """It does not wait for a store that is away."""
    bench.store.faults["refused"] = [StateError("away")] * faults
    bench.renewal.closing = True
    untold = Refused("invalid_grant", permanent=True, untold=0)
    telling = asyncio.create_task(bench.renewal.tell("a1", untold))
    await bench.clock.advance(10)
    await telling
    assert len(bench.store.refusals) == told


async def test_an_exchange_without_an_answer_is_uncertain(bench):
    """The token may be spent."""
    bench.server.after = [RenewalUnknown("silence")]
    assert await bench.run() == Uncertain("unknown")
    assert len(bench.server.seen) == 1


async def test_a_request_that_never_left_spent_nothing(bench):
    """It is as if it had not been tried."""
    bench.server.before = [RenewalUnsent("no route")]
    assert await bench.run() == Postponed("unsent")
    assert bench.store.refusals == [("a1", "unsent", False)]
    assert bench.store.intents == {}, "no other process need wait for an end of this attempt"


@pytest.mark.parametrize("fault", [StateError("away"), ValueError("a defect")])
async def test_what_was_bought_is_held_until_the_store_takes_it(bench, fault):
    """The only copy of a refresh token outlives any fault of the store."""
    bench.store.faults["renewed"] = [fault] * 20
    assert isinstance(await bench.run(), Renewed)
    assert len(bench.server.seen) == 1
    assert bench.store.tokens["a1"] == Secret("rt-a1-1")


async def test_a_defect_of_the_store_is_given_up_after_a_while(bench):
    """A row that can't be written must not hold up the others for good."""
    bench.store.faults["renewed"] = [ValueError("a defect")] * 999
    assert await bench.run() == Uncertain("not_stored")
    assert bench.store.steps.count("renewed") == STORE_TRIES_DEFECT


async def test_a_store_that_is_away_does_not_hold_the_lane(bench):
    """A sibling that asks meanwhile is told at once that nothing can be done."""
    bench.store.faults["renewed"] = [StateError("away")] * 9
    task = asyncio.create_task(bench.renewal.run(bench.account))
    await bench.clock.advance(2)
    bench.store.faults["intend"] = [StateError("away")]
    sibling = bench.store.put(account("a2"), "rt-a2-0")
    assert await bench.renewal.run(sibling) == Postponed("store_unavailable")
    await bench.clock.advance(20)
    assert isinstance(await task, Renewed)


async def test_a_closing_gateway_gives_the_store_a_few_more_tries(bench):
    """Then it goes; the intent stays as the trace of what was lost."""
    bench.store.faults["renewed"] = [StateError("away")] * 99
    task = asyncio.create_task(bench.renewal.run(bench.account))
    await settle()
    bench.renewal.closing = True
    await bench.clock.advance(100)
    assert await task == Uncertain("not_stored")
    assert bench.store.steps.count("renewed") == STORE_TRIES_CLOSING
    assert bench.store.intents == {"a1": 0}


async def test_a_closing_gateway_begins_no_exchange(bench):
    """Whoever waits for the lane goes home."""
    bench.renewal.closing = True
    assert await bench.run() == Closed()
    assert bench.store.intents == {}


@pytest.mark.parametrize(
    ("token", "expires_at"),
    [
        (
            "x." + urlsafe_b64encode(json.encode({"exp": 1_800_009_999})).decode() + ".y",
            1_800_009_999,
        ),
        ("at-opaque", None),
    ],
)
async def test_an_end_that_the_server_left_out_is_read_from_the_token(bench, token, expires_at):
    """A JWT names its own end, an opaque token none."""
    bench.server.lifetime_s = None
    bench.server.access_token = lambda *_: token
    result = await bench.run()
    assert result.account.credential.expires_at == expires_at


WHO = {"chatgpt_user_id": "u", "chatgpt_account_id": "w"}
TOKEN = "x." + urlsafe_b64encode(json.encode({"https://api.openai.com/auth": WHO})).decode() + ".y"


async def test_an_account_that_turns_out_to_be_another_one_ends_as_that(bench):
    """Two imports of one account: the first row goes on with what was bought just now."""
    bench.server.access_token = lambda *_: TOKEN
    twin = bench.store.put(account("twin", generation=4), "rt-twin-0")
    bench.store.people["u", "w"] = twin.id
    result = await bench.run()
    assert (result.account.id, result.account.credential.generation) == ("twin", 5)
    assert bench.store.tokens == {"twin": Secret("rt-a1-1")}
    assert list(bench.store.rows) == ["twin"]


@pytest.mark.parametrize("fault", [StateError("away"), ValueError("a defect")])
async def test_an_identity_that_cannot_be_stored_costs_no_credential(bench, fault):
    """What was bought is stored already; the next renewal tells who it is again."""
    bench.server.access_token = lambda *_: TOKEN
    bench.store.faults["identify"] = [fault]
    result = await bench.run()
    assert (result.account.id, result.account.credential.generation) == ("a1", 1)


async def test_an_account_that_goes_before_it_is_identified_was_renewed(bench):
    """It was deleted at that very moment."""
    bench.server.access_token = lambda *_: TOKEN
    bench.store.gates["identify"] = asyncio.Event()
    task = asyncio.create_task(bench.renewal.run(bench.account))
    await bench.clock.advance(1)
    bench.store.rows.clear()
    bench.store.gates["identify"].set()
    await bench.clock.advance(1)
    assert (await task).account.credential.generation == 1


@pytest.mark.parametrize("omitted", [True, False])
async def test_a_success_is_written_down_with_the_next_deadline(bench, omitted):
    """Of the new access token, or of the old one where the server left that out."""
    row = structs.replace(
        bench.account, credential=structs.replace(bench.account.credential, expires_at=9.0)
    )
    bench.account = bench.store.put(row)
    bench.renewal._plan = lambda ends_at: ends_at and ends_at - 1
    if omitted:
        bench.server.access_token = lambda *_: ""
    result = await bench.run()
    (_, event) = bench.store.events[0]
    assert event.next_at == result.next_at
    assert (event.next_at == 8.0) == omitted


@pytest.mark.parametrize(
    ("result", "kind", "code"),
    [
        (Adopted(account()), RenewalKind.ADOPTED, None),
        (Refused("r", permanent=True), RenewalKind.REFUSED, "r"),
        (Uncertain("u"), RenewalKind.UNKNOWN, "u"),
        (Postponed("p"), RenewalKind.POSTPONED, "p"),
    ],
)
def test_every_other_end_is_an_event(result, kind, code):
    """With its code, its time, and when it goes on."""
    assert remembered(result, at=1.0, next_at=2.0) == RenewalEvent(kind, 1.0, code, 2.0)


@pytest.mark.parametrize("result", [Renewed(account()), Closed()])
def test_a_success_and_a_close_need_no_event(result):
    """The one is written with the credential, and of the other nothing has begun."""
    assert remembered(result, at=1.0, next_at=2.0) is None
