"""The rounds of one process: what is said, who is told, and what happens while nobody is there."""

import asyncio
from random import Random

import pytest

from app.domain.account import AccountId
from app.domain.caller import KeyId
from app.domain.quota import QuotaView, QuotaWindow
from app.domain.shared import (
    AccountReset,
    AccountRested,
    Binding,
    CredentialRenewed,
    Draining,
    KeyRevoked,
    KeySpent,
    Missed,
    Presence,
    QuotaHeard,
    StoreChanged,
    Tidings,
)
from app.pool.counters import Changes
from app.pool.state import AccountState, Health
from app.ports import SharedUnavailable
from app.shared.memory import Hub, MemoryShared
from app.shared.shares import GRACE_S, Standing
from app.shared.sync import WHISPER_S, Receivers, Sources, Syncer, standing
from tests.fakes.accounts import account
from tests.fakes.clock import FakeClock
from tests.fakes.virtual import LoopClock, virtual

A, B, K = AccountId("a"), AccountId("b"), KeyId("k")


class Away(MemoryShared):
    """Can be out of reach."""

    away = False

    @property
    def up(self) -> bool:
        """As told."""
        return not self.away

    async def publish(self, snapshot) -> Tidings:
        """Fail if away."""
        if self.away:
            raise SharedUnavailable("away")
        return await super().publish(snapshot)

    async def claim(self, claims):
        """Fail if away."""
        if self.away:
            raise SharedUnavailable("away")
        return await super().claim(claims)


class Worker:
    """One process with a pool in name only."""

    def __init__(self, hub: Hub, name: str, clock=None, *, cap: int = 8) -> None:
        self.clock = clock or FakeClock()
        self.states = {each: AccountState(account(each, concurrency_max=cap)) for each in (A, B)}
        self.changes = Changes()
        self.waiting = 0
        self.expected = 2
        self.spent: list[KeySpent] = []
        self.bindings: list[Binding] = []
        self.presence = Presence("1.0", revision=3)
        self.limits: dict[AccountId, int] = {}
        self.told: list[object] = []
        self.shared = Away(hub, incarnation=name)
        tell = self.told.append
        self.syncer = Syncer(
            shared=self.shared,
            sources=Sources(
                counters=lambda since: self.changes.counters(incarnation=name, since=since),
                account=self.states.get,
                roster=lambda: self.states,
                waiting=lambda: self.waiting,
                spent=lambda: self.spent,
                presence=lambda: self.presence,
                bindings=lambda count: [self.bindings.pop(0) for _ in self.bindings[:count]],
            ),
            receivers=Receivers(
                limit=self.limits.__setitem__,
                shared=lambda: tell("shared"),
                spent=tell,
                bound=tell,
                rested=tell,
                reset=lambda account_id: tell(("reset", account_id)),
                quota=tell,
                renewed=lambda account_id, generation: tell((account_id, generation)),
                changed=lambda revision: tell(("changed", revision)),
                revoked=lambda key_id: tell(("revoked", key_id)),
                drain=lambda: tell("drain"),
                missed=lambda: tell("missed"),
            ),
            clock=self.clock,
            rng=Random(1),
            processes_expected=lambda: self.expected,
        )
        self.syncer.roster_changed()

    def call(self, account_id: AccountId, *, tokens: int = 0, in_flight: int = 1) -> None:
        """Count a call."""
        state = self.states[account_id]
        state.requests += 1
        state.tokens += tokens
        state.in_flight = in_flight
        self.changes.touch(state)


@pytest.fixture
def hub() -> Hub:
    """What all share."""
    return Hub(now=lambda: 1_000.0)


async def test_what_changed_is_said_and_heard(hub) -> None:
    """Calls, tokens, money and who one is."""
    one, two = Worker(hub, "one"), Worker(hub, "two")
    one.call(A, tokens=5)
    one.call(A, tokens=6, in_flight=2)
    one.spent = [KeySpent(K, 1, 2, 3, 4)]
    await one.syncer.round()
    await two.syncer.round()
    view = two.shared.view()
    assert (view.account(A).in_flight, view.account(A).requests, view.account(A).tokens) == (
        2,
        2,
        11,
    )
    assert view.spent(K) == KeySpent(K, 1, 2, 3, 4)
    assert [each for each in two.told if each != "shared"] == [KeySpent(K, 1, 2, 3, 4)]
    assert list(view.presences) == [("one", Presence("1.0", revision=3))]


async def test_an_account_that_is_gone_is_said_as_it_was(hub) -> None:
    """It still has calls under way."""
    one, two = Worker(hub, "one"), Worker(hub, "two")
    one.call(A, in_flight=1)
    del one.states[A]
    await one.syncer.round()
    await two.syncer.round()
    assert two.shared.view().account(A).in_flight == 1


async def test_every_event_reaches_its_receiver(hub) -> None:
    """And an order only the one for whom it is."""
    one, two = Worker(hub, "one"), Worker(hub, "two")
    await one.syncer.round()
    await two.syncer.round()
    rest = AccountRested(A, 5.0, "limit", "m1")
    two.told.clear()
    heard = QuotaHeard(A, QuotaView(windows=(QuotaWindow("codex", 300, 0.5, 99.0),)), "m1")
    for event in (
        rest,
        AccountReset(A),
        heard,
        CredentialRenewed(A, 4),
        StoreChanged(9),
        KeyRevoked(K),
        Draining("one"),
        Draining("two"),
        Draining(None),
        Missed(),
    ):
        one.syncer.announce(event)
    await one.syncer.round()
    await two.syncer.round()
    told = [each for each in two.told if each != "shared"]
    assert told == [
        rest,
        ("reset", A),
        heard,
        (A, 4),
        ("changed", 9),
        ("revoked", K),
        "drain",
        "drain",
        "missed",
    ]


@virtual
async def test_what_belongs_to_whom_is_heard_without_a_round() -> None:
    """Whoever is away does not hear of it, and nobody tells it again."""
    clock = LoopClock()
    hub = Hub(now=clock.monotonic)
    one, two = Worker(hub, "one", clock), Worker(hub, "two", clock)
    bound = Binding("k:1", A, 5.0, owned=True)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each.syncer.run()) for each in (one, two)]
        await asyncio.sleep(1.0)
        one.bindings = [bound]
        await asyncio.sleep(2 * WHISPER_S)
        assert one.bindings == []
        [said] = [each for each in two.told if each != "shared"]
        assert list(said) == [bound]
        for task in tasks:
            task.cancel()


async def test_a_receiver_that_fails_keeps_no_event_from_others(hub, caplog) -> None:
    """It is logged with its kind."""
    one, two = Worker(hub, "one"), Worker(hub, "two")
    await one.syncer.round()
    await two.syncer.round()
    one.syncer.announce(Missed())
    one.syncer.announce(StoreChanged(9))
    await one.syncer.round()
    two.told.clear()
    told = two.told

    class Refusing(list[object]):
        def append(self, value: object) -> None:
            if value == "missed":
                raise ValueError(value)
            super().append(value)

    two.told = Refusing()
    two.syncer._receivers = Receivers(
        **{
            name: (two.told.append if name != "missed" else lambda: two.told.append("missed"))
            for name in Receivers.__struct_fields__
            if name not in {"limit", "shared", "changed"}
        },
        limit=two.limits.__setitem__,
        shared=lambda: None,
        changed=two.told.append,
    )
    await two.syncer.round()
    assert two.told == [9]
    assert told == []
    assert "event_not_taken kind=Missed" in caplog.text


async def test_shares_are_split_and_follow_the_load(hub) -> None:
    """Half each while nobody calls; all to the one where calls stand in line."""
    one, two = Worker(hub, "one"), Worker(hub, "two")
    await one.syncer.round()
    assert one.limits == {A: 8, B: 8}
    await two.syncer.round()
    await one.syncer.round()
    await two.syncer.round()
    assert one.limits == two.limits == {A: 4, B: 4}
    two.call(A, in_flight=4)
    two.waiting = 9
    await two.syncer.round()
    await one.syncer.round()
    two.told.clear()
    await two.syncer.round()
    assert (one.limits[A], two.limits[A]) == (0, 8)
    assert two.told == ["shared"]


@virtual
async def test_while_nobody_can_be_reached_shares_stay_and_new_accounts_get_a_guess() -> None:
    """The expected number of processes decides."""
    clock = LoopClock()
    one = Worker(Hub(now=clock.monotonic), "one", clock)
    run = asyncio.create_task(one.syncer.run())
    await asyncio.sleep(1.0)
    one.shared.away = True
    one.states[AccountId("new")] = AccountState(account("new", concurrency_max=8))
    one.syncer.roster_changed()
    await asyncio.sleep(1.0)
    assert one.limits == {A: 8, B: 8, "new": 4}
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run


async def test_a_claim_without_an_answer_is_made_again(hub) -> None:
    """The round fails, the next one sets it right."""
    one = Worker(hub, "one")

    async def lost(_claims):
        raise SharedUnavailable("lost")

    one.shared.claim = lost
    with pytest.raises(SharedUnavailable):
        await one.syncer.round()
    del one.shared.claim
    await one.syncer.round()
    assert one.limits == {A: 8, B: 8}


async def test_a_lost_record_is_said_again_at_once(hub) -> None:
    """All of it, before anybody else is granted what it had."""
    one = Worker(hub, "one")
    await one.syncer.round()
    hub.members["one"].held.clear()
    publish = one.shared.publish

    async def forgotten(snapshot) -> Tidings:
        return Tidings((await publish(snapshot)).news, claims_known=False)

    one.shared.publish = forgotten
    await one.syncer.round()
    assert hub.members["one"].held == {A: 8, B: 8}


async def test_it_is_settled_once_it_has_shares_or_nobody_to_ask(hub) -> None:
    """Before that it could serve hardly anything."""
    one = Worker(hub, "one")
    assert not one.syncer.settled
    await one.syncer.round()
    assert one.syncer.settled
    two = Worker(hub, "two")
    await two.syncer.round()
    assert not two.syncer.settled
    await two.clock.advance(2 * GRACE_S + 0.1)
    assert two.syncer.settled
    assert two.syncer.age_s == pytest.approx(1_000.0 - 2 * GRACE_S - 0.1, abs=2_000)


async def test_its_age_is_that_of_the_view() -> None:
    """Or of the process, as long as nobody was heard of."""
    clock = FakeClock()
    one = Worker(Hub(now=clock.monotonic), "one", clock)
    await clock.advance(3.0)
    assert one.syncer.age_s == 3.0
    await one.syncer.round()
    assert one.syncer.age_s == 0.0
    await clock.advance(2.0)
    assert one.syncer.age_s == 2.0


@virtual
async def test_rounds_go_on_by_themselves_and_at_once_if_something_is_urgent() -> None:
    """A bell is enough; and whoever leaves says so."""
    clock = LoopClock()
    hub = Hub(now=clock.monotonic)
    one, two = Worker(hub, "one", clock), Worker(hub, "two", clock)
    runs = [asyncio.create_task(each.syncer.run()) for each in (one, two)]
    await asyncio.sleep(1.0)
    assert one.limits == two.limits == {A: 4, B: 4}
    assert two.syncer.age_s <= 0.3
    await asyncio.sleep(0.06)
    one.syncer.announce(StoreChanged(7))
    await asyncio.sleep(0.11)
    assert ("changed", 7) in two.told
    one.syncer.hurry()
    two.call(A, in_flight=4)
    two.waiting = 5
    two.syncer.hurry()
    await asyncio.sleep(0.3)
    assert two.limits[A] > 4
    assert one.limits[A] + two.limits[A] <= 8
    one.call(B, tokens=5, in_flight=0)
    runs[0].cancel()
    await asyncio.sleep(1.0)
    assert two.shared.view().processes == 1
    assert two.shared.view().account(B).tokens == 5
    assert two.limits == {A: 8, B: 8}
    one.shared.away = two.shared.away = True
    await asyncio.sleep(5.0)
    assert two.syncer.age_s == pytest.approx(5.0, abs=0.4)
    assert two.syncer.settled
    for run in runs:
        run.cancel()
    await asyncio.gather(*runs, return_exceptions=True)


@virtual
async def test_who_is_begun_again_has_not_left(monkeypatch) -> None:
    """What it has counted counts on, and so does what it counted while nothing ran."""
    clock = LoopClock()
    hub = Hub(now=clock.monotonic)
    one, two = Worker(hub, "one", clock), Worker(hub, "two", clock)
    one.call(A, tokens=5, in_flight=0)
    other = asyncio.create_task(two.syncer.run())
    first = asyncio.create_task(one.syncer.run())
    await asyncio.sleep(1.0)

    async def fails(_snapshot) -> Tidings:
        raise LookupError("a mistake of ours")

    with monkeypatch.context() as patch:
        patch.setattr(one.shared, "publish", fails)
        with pytest.raises(ExceptionGroup):
            await first
    assert two.shared.view().processes == 2
    one.call(A, tokens=2, in_flight=0)
    again = asyncio.create_task(one.syncer.run())
    await asyncio.sleep(1.0)
    assert two.shared.view().processes == 2
    assert two.shared.view().account(A).tokens == 7
    for run in (again, other):
        run.cancel()
    await asyncio.gather(again, other, return_exceptions=True)


@virtual
async def test_who_cannot_ask_from_the_start_is_settled_with_a_guess() -> None:
    """It serves with what it may take if as many as are known of do the same."""
    clock = LoopClock()
    one = Worker(Hub(now=clock.monotonic), "one", clock)
    one.shared.away = True
    run = asyncio.create_task(one.syncer.run())
    await asyncio.sleep(0.1)
    assert one.syncer.settled
    assert one.limits == {A: 4, B: 4}
    one.expected = 4
    await asyncio.sleep(1.0)
    assert one.limits == {A: 2, B: 2}
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Standing(8, 2, 8)),
        ({"window": 3.9}, Standing(8, 2, 3)),
        ({"window": 0.2}, Standing(8, 2, 1)),
        ({"health": Health.PROBING, "stale": 2}, Standing(8, 2, 3)),
        ({"health": Health.COOLING}, Standing(8, 2, 0)),
    ],
)
def test_a_standing_is_what_would_be_begun_without_shares(changes, expected) -> None:
    """The cap of all is the operator's; the reach is what this process has learnt."""
    state = AccountState(account("a", concurrency_max=8), in_flight=2, **changes)
    assert standing(state) == expected
