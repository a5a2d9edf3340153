"""Tests of app.accounts.credentials over longer times: storms, short lives, and what is told."""

import asyncio
from base64 import urlsafe_b64encode
from itertools import pairwise

import pytest
from msgspec import json, structs

from app.accounts.deadlines import RenewalPolicy, queue_s
from app.domain.account import Secret
from app.errors import StateError
from app.ports import RenewalKind, RenewalRefused, RenewalUnknown, RenewalUnsent
from app.settings import Settings
from tests.accounts.world import DAY, HOUR, REUSED, World
from tests.fakes.clock import FakeClock, settle
from tests.fakes.virtual import LoopClock, virtual

IMPORTED = 10_000
BUSY = RenewalRefused("rate_limited", "busy", permanent=False, retry_after_s=900.0)
WHO = {"chatgpt_user_id": "u", "chatgpt_account_id": "w"}
TOKEN = "x." + urlsafe_b64encode(json.encode({"https://api.openai.com/auth": WHO})).decode() + ".y"


class SleepingClock(LoopClock):
    """Virtual time that passes by itself."""

    async def sleep(self, seconds):
        """Sleep in the loop's own time."""
        await asyncio.sleep(seconds)


class SteppedClock(FakeClock):
    """A clock whose wall time can be set apart from its steady time."""

    stepped_s = 0.0

    def now(self):
        """Return what the wall clock shows."""
        return super().now() + self.stepped_s


def imported(world, name):
    """Store an account as an import does that brings nothing but a refresh token."""
    row = world.add(name)
    fresh = structs.replace(row.credential, access_token=Secret(""), expires_at=0.0)
    return world.store.put(structs.replace(row, credential=fresh))


def events(world):
    """Return kind and code of all events, in order."""
    return [(event.kind, event.code) for _, event in world.store.events]


@virtual
async def test_an_import_of_ten_thousand_is_no_storm():
    """One at a time, spaced, in the time that was told; whoever serves is never kept waiting."""
    world = World(SleepingClock())
    world.server.latency_s = 0.1
    spaced_s = world.server.latency_s + world.policy.spacing_s
    for number in range(IMPORTED):
        imported(world, f"new-{number}")
    # They came with access tokens, so they serve already; these end all along the way.
    live = [world.add(f"live-{number}", left_s=400.0 + 50.0 * number) for number in range(60)]
    untouched = world.add("untouched", left_s=9 * DAY)
    await world.start()
    for at in (600.0, 1_200.0):
        await asyncio.sleep(at - world.clock.monotonic())
        name = f"live-{len(live) - 1}"
        generation = world.store.rows[name].credential.generation
        asked_at = world.clock.monotonic()
        found = await world.renewer.renew_now(name, generation=generation)
        assert found.credential.generation == generation + 1
        assert world.clock.monotonic() - asked_at <= 3 * spaced_s
    await asyncio.sleep(queue_s(IMPORTED, policy=world.policy) - world.clock.monotonic())
    world.task.cancel()
    await asyncio.wait([world.task])
    assert world.server.most_in == 1
    assert len(world.server.seen) >= IMPORTED
    assert all(world.store.rows[f"new-{n}"].credential.access_token for n in range(IMPORTED))
    renewed_at = {token: at for at, token in world.server.seen}
    late = [
        row.id
        for row in live
        if renewed_at[f"rt-{row.id}-0"] > row.credential.expires_at - world.policy.lead_s / 2
    ]
    assert late == []
    assert world.store.rows[untouched.id].credential.generation == 0
    assert world.failed == []


@virtual
async def test_an_account_that_came_with_an_access_token_is_renewed_at_its_own_deadline():
    """It serves at once; nothing of it is spent before that is needed."""
    world = World(SleepingClock())
    rows = [world.add(f"a{number}", left_s=5 * DAY) for number in range(100)]
    await world.start()
    await asyncio.sleep(4 * DAY)
    assert world.server.seen == []
    await asyncio.sleep(DAY)
    world.task.cancel()
    await asyncio.wait([world.task])
    times = {token: at for at, token in world.server.seen}
    ends_at = rows[0].credential.expires_at
    assert len(times) == len(rows)
    assert max(times.values()) <= ends_at - world.policy.lead_s + 60
    assert max(times.values()) - min(times.values()) > 6 * HOUR, (
        "jitter spreads those that came together"
    )


@pytest.mark.parametrize("lifetime_s", [20.0, 600.0])
def test_the_sweeps_interval_delays_no_renewal(lifetime_s):
    """`POOL_REFRESH_INTERVAL=3600` and tokens of ten minutes, or of seconds: no gap in a day."""
    settings = Settings.from_env({"POOL_REFRESH_INTERVAL": "3600"})

    @virtual
    async def played():
        world = World(SleepingClock())
        world.policy = RenewalPolicy(sweep_s=settings.renewal_sweep_s)
        world.renewer = world.make()
        world.server.lifetime_s = lifetime_s
        world.server.latency_s = 0.1
        world.add(left_s=lifetime_s)
        await world.start()
        hours = 24 if lifetime_s > 60 else 2
        await asyncio.sleep(hours * HOUR)
        world.task.cancel()
        await asyncio.wait([world.task])
        assert world.store.steps.count("accounts") == hours
        times = [at for at, _ in world.server.seen]
        gaps = [after - before for before, after in pairwise(times[1:])]
        assert len(gaps) > hours * 5
        assert all(0.8 * lifetime_s - 1 <= gap <= 0.9 * lifetime_s + 1 for gap in gaps)
        planned = [event.next_at for _, event in world.store.events]
        assert all(0 <= at - due <= 1 for at, due in zip(times[1:], planned, strict=False))

    played()


@pytest.mark.parametrize("step_s", [2 * DAY, -2 * DAY])
async def test_a_clock_that_is_set_is_noticed(step_s):
    """Or a machine that slept: what became due meanwhile is renewed within a minute or two."""
    world = World(SteppedClock())
    row = world.add(left_s=1.5 * DAY)
    await world.start()
    await world.clock.advance(10)
    world.clock.stepped_s = step_s
    await world.clock.advance(2 * world.policy.look_s)
    assert world.exchanges() == (1 if step_s > 0 else 0)
    assert (world.store.rows["a1"] == row) == (step_s < 0)
    await world.stop()


async def test_a_dead_refresh_token_leaves_the_account_serving(world):
    """It is flagged; the access token is the same, and no more exchanges are tried."""
    row = world.add(left_s=HOUR)
    world.server.before = [REUSED]
    await world.start()
    await world.clock.advance(HOUR - 700)
    assert world.exchanges() == 0
    await world.clock.advance(500)
    found = world.store.rows["a1"]
    assert (found.enabled, found.credential.renewable) == (True, False)
    assert found.credential.access_token == row.credential.access_token
    assert found.credential.expires_at == row.credential.expires_at
    assert events(world) == [(RenewalKind.REFUSED, "refresh_token_reused")]
    assert world.store.events[0][1].next_at is None, "never again by itself"
    await world.clock.advance(DAY)
    assert world.exchanges() == 1


async def test_the_server_is_left_alone_as_long_as_it_asks(world):
    """`Retry-After` counts where it is longer than the backoff, also for whoever waits."""
    world.add(left_s=200)
    world.server.before = [BUSY]
    await world.start()
    assert await world.renewer.renew_now("a1", generation=0) is None
    await world.clock.advance(890)
    assert await world.renewer.renew_now("a1", generation=0) is None
    assert world.exchanges() == 1
    await world.clock.advance(20)
    assert world.store.rows["a1"].credential.generation == 1
    refused, renewed = (event for _, event in world.store.events)
    assert refused.next_at == refused.at + 900.0
    assert renewed.at >= refused.next_at


async def test_every_attempt_is_an_event_with_its_code_and_the_next_try(world):
    """Whatever came of it, and however it went on."""
    world.add(left_s=200)
    world.server.before = [
        RenewalUnsent("no route"),
        RenewalRefused("http_503", "busy", permanent=False),
        RenewalUnknown("silence"),
    ]
    await world.start()
    await world.clock.advance(300)
    assert events(world) == [
        (RenewalKind.POSTPONED, "unsent"),
        (RenewalKind.REFUSED, "http_503"),
        (RenewalKind.UNKNOWN, "unknown"),
        (RenewalKind.RENEWED, None),
    ]
    told = [event for _, event in world.store.events]
    spent_at = [at for at, _ in world.server.seen]
    for event, again_at in zip(told[:3], spent_at[1:], strict=True):
        assert event.at <= event.next_at <= again_at <= event.next_at + 1
    assert told[3].next_at > told[3].at + DAY
    assert world.renewer._roster.next_due_at() == told[3].next_at


async def test_a_credential_from_elsewhere_is_an_event_too(world):
    """Another process was faster; here nothing was spent."""
    row = world.add(left_s=200)
    world.store.gates["intend"] = asyncio.Event()
    await world.start()
    await world.clock.advance(1)
    world.overtake(row)
    world.store.gates.pop("intend").set()
    await world.clock.advance(1)
    assert events(world) == [(RenewalKind.ADOPTED, None)]
    assert world.exchanges() == 0


@pytest.mark.parametrize("fault", [StateError("away"), ValueError("a defect")])
async def test_an_event_that_cannot_be_stored_costs_nothing_else(world, caplog, fault):
    """Events are for people; the credential goes on."""
    world.add(left_s=200)
    world.server.before = [RenewalUnsent("no route")]
    world.store.faults["remember"] = [fault]
    await world.start()
    await world.clock.advance(30)
    assert "event_not_stored account=a1" in caplog.text
    assert world.store.rows["a1"].credential.generation == 1


async def test_a_renewer_that_is_cancelled_still_writes_the_event(world):
    """The flight is over for those who wait, but not for the store."""
    world.add(left_s=200)
    world.server.before = [RenewalUnsent("no route")]
    world.store.gates["remember"] = asyncio.Event()
    await world.start()
    await world.clock.advance(0.5)
    assert world.store.steps[-1] == "remember"
    world.task.cancel()
    await settle()
    assert not world.task.done()
    world.store.gates["remember"].set()
    await settle()
    assert world.task.done()
    assert events(world) == [(RenewalKind.POSTPONED, "unsent")]


async def test_every_sweep_forgets_old_events(world):
    """At once and every hour; a store that is away then loses nothing but time."""
    world.add()
    world.store.faults["forget_events"] = [StateError("away")]
    await world.start()
    await world.clock.advance(2 * HOUR + 1)
    assert world.store.steps.count("forget_events") == 3
    assert world.store.steps.count("accounts") == 3


def twins(world):
    """Store two rows that are one account, which nobody knows yet of the first."""
    world.server.access_token = lambda *_: TOKEN
    world.store.people["u", "w"] = "twin"
    world.add("a1")
    return world.add("twin")


async def test_callers_of_a_row_that_turns_out_to_be_another_account_get_that(world):
    """The flight ends with the account that is left, and its next deadline is known."""
    twins(world)
    await world.start()
    asked = [asyncio.create_task(world.renewer.renew_now("a1", generation=0)) for _ in range(3)]
    await world.clock.advance(5)
    found = [await one for one in asked]
    assert {(one.id, one.credential.generation) for one in found} == {("twin", 1)}
    assert world.renewed == [found[0]]
    assert await world.renewer.renew_now("a1", generation=0) is None
    assert await world.renewer.renew_now("twin", generation=0) == found[0]
    assert world.exchanges() == 1
    assert world.renewer._roster.ids() == ["twin"]
    await world.clock.advance(10 * DAY)
    assert world.exchanges() == 2
    assert world.failed == []


async def test_an_account_that_is_only_known_to_the_store_is_taken_over_too(world):
    """Nobody had told the renewer of the other row yet."""
    twin = twins(world)
    del world.store.rows[twin.id]
    await world.start()
    world.store.put(twin)
    found = await world.now()
    assert (found.id, found.credential.generation) == ("twin", 1)
    assert world.renewer._roster.next_due_at() is not None


async def test_a_flight_of_the_account_that_is_left_is_not_lost(world):
    """Both are renewed at once: the second lands with what the first one brought."""
    twins(world)
    world.store.gates["identify"] = asyncio.Event()
    await world.start()
    first = asyncio.create_task(world.renewer.renew_now("a1", generation=0))
    await world.clock.advance(0.1)
    second = asyncio.create_task(world.renewer.renew_now("twin", generation=0))
    await world.clock.advance(0.7)
    world.store.gates["identify"].set()
    await world.clock.advance(5)
    assert await second == await first
    assert (await first).id == "twin"
    assert list(world.store.rows) == ["twin"]
    assert world.store.rows["twin"].credential.renewable
    await world.clock.advance(10 * DAY)
    assert world.store.rows["twin"].credential.generation == 2
    assert not any(permanent for _, permanent, _ in world.failed)


async def test_news_of_the_account_that_is_left_can_come_first(world):
    """Somebody reloads between the merge and its end here: the newer credential counts."""
    twin = twins(world)
    world.store.gates["identify"] = asyncio.Event()
    await world.start()
    asked = asyncio.create_task(world.renewer.renew_now("a1", generation=0))
    await world.clock.advance(1)
    newer = structs.replace(twin.credential, generation=7)
    world.renewer.watch(structs.replace(twin, credential=newer))
    world.store.gates["identify"].set()
    await world.clock.advance(1)
    assert (await asked).id == "twin"
    assert world.renewer._roster.get("twin").generation == 7
    assert world.renewed == []
