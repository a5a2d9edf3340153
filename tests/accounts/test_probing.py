"""Accounts are asked for their usage where nobody hears of them, and never in a storm."""

import asyncio
import logging
from collections import Counter
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from random import Random

import pytest

from app.accounts.probe_agenda import BOUNDARY_S, INTERVAL_S, JITTER
from app.accounts.probing import FLIGHTS_MAX, SLICE, SPACING_S, SWEEP_S, Accounts, UsageProbes
from app.domain.account import AccountKind
from app.domain.quota import MAIN_FAMILY, QuotaView, QuotaWindow
from app.pool import quota
from app.pool.state import AccountState, Health
from app.ports import UsageUnavailable
from tests.fakes.accounts import account
from tests.fakes.clock import FakeClock, settle
from tests.fakes.usage_server import FakeUsageServer


class Scene:
    """The service over fakes, with a pool that only learns."""

    def __init__(self):
        self.clock = FakeClock()
        self.server = FakeUsageServer(self.clock)
        self.states = {}
        self.observed = []
        self.probes = UsageProbes(
            server=self.server,
            accounts=Accounts(
                states=self.states.values,
                find=lambda name: self.states[name].account if name in self.states else None,
                observe=self._observe,
            ),
            clock=self.clock,
            sleep=self.clock.sleep,
            rng=Random(3),
        )

    def put(self, *names, **changes):
        """Add accounts; return the last one's state."""
        for name in names:
            self.states[name] = AccountState(account(name), **changes)
        return self.states[names[-1]]

    def _observe(self, account_id, view):
        self.observed.append(account_id)
        quota.hear(self.states[account_id], view, pause_at=1.0, now=self.clock.now())

    @asynccontextmanager
    async def running(self):
        """Let the service run meanwhile."""
        task = asyncio.create_task(self.probes.run())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    @property
    def asked(self):
        """How often each account was asked."""
        return Counter(name for _, name in self.server.asked)


@pytest.fixture
def scene():
    """A service without accounts."""
    return Scene()


def full(reset_at):
    """Return what is said of an account at its limit."""
    return QuotaView(windows=(QuotaWindow(MAIN_FAMILY, 300, 1.0, reset_at),), limit_reached=True)


async def test_new_accounts_are_asked_within_seconds(scene):
    """And the pool learns what they said; those of other kinds have nothing to say."""
    scene.put("a", "b", "c")
    scene.put("key").account = account("key", kind=AccountKind.OPENAI)
    async with scene.running():
        await scene.clock.advance(6)
    assert scene.asked == {"a": 1, "b": 1, "c": 1}
    assert sorted(scene.observed) == ["a", "b", "c"]
    assert (scene.probes.counts.answered, scene.probes.counts.failed) == (3, 0)


async def test_an_account_that_comes_later_is_found_by_the_sweep(scene):
    """And one that has gone is asked no more."""
    scene.put("a")
    async with scene.running():
        await scene.clock.advance(6)
        del scene.states["a"]
        scene.put("b")
        await scene.clock.advance(INTERVAL_S * 2)
    assert scene.asked == {"a": 1, "b": 2}


async def test_an_account_without_traffic_is_asked_every_interval(scene):
    """Give or take a fifth."""
    scene.put("a")
    async with scene.running():
        await scene.clock.advance(20 * INTERVAL_S)
    times = [at for at, _ in scene.server.asked]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert len(gaps) >= 16
    assert all(INTERVAL_S * (1 - JITTER) - 1 < gap < INTERVAL_S * (1 + JITTER) + 1 for gap in gaps)
    assert len(set(gaps)) > 10


async def test_the_interval_can_be_changed_while_it_runs(scene):
    """The next sweep sees it."""
    scene.put("a")
    async with scene.running():
        await scene.clock.advance(6)
        scene.probes.interval_s = 60.0
        assert scene.probes.interval_s == 60.0
        await scene.clock.advance(600)
    assert scene.asked["a"] >= 8


async def test_an_account_with_traffic_is_never_asked(scene):
    """Its replies tell all."""
    state = scene.put("a", heard_at=scene.clock.now())
    async with scene.running():
        for _ in range(50):
            await scene.clock.advance(60)
            state.heard_at = scene.clock.now()
    assert not scene.asked


async def test_a_rest_is_followed_by_a_question(scene):
    """Two to three seconds after its end; the answer may be another rest."""
    state = scene.put("a", heard_at=scene.clock.now())
    reset_at = scene.clock.now() + 100.0
    scene.server.says = lambda _: full(reset_at + 50.0)
    async with scene.running():
        await scene.clock.advance(20)
        quota.hear(state, full(reset_at), pause_at=1.0, now=scene.clock.now())
        await scene.clock.advance(100)
        [(at, _)] = scene.server.asked
        assert 101 + BOUNDARY_S <= at <= 101 + BOUNDARY_S + 1 + SPACING_S
        assert state.paused_until > scene.clock.now()
        scene.server.says = lambda _: QuotaView(allowed=True)
        await scene.clock.advance(60)
    assert len(scene.server.asked) == 2
    assert state.paused_until == 0.0


async def test_an_early_reset_ends_the_pause_but_not_the_rest(scene):
    """What a refusal named is waited for."""
    now = scene.clock.now()
    state = scene.put("a", heard_at=now, ready_at=now + 5_000, health=Health.COOLING)
    quota.hear(state, full(now + 5_000), pause_at=1.0, now=now)
    window = QuotaWindow(MAIN_FAMILY, 300, 0.0, now + 18_000)
    scene.server.says = lambda _: QuotaView(windows=(window,), allowed=True, limit_reached=False)
    async with scene.running():
        await scene.clock.advance(INTERVAL_S * 1.3)
    assert scene.asked == {"a": 1}
    assert (state.paused_until, state.ready_at) == (0.0, now + 5_000)
    assert state.health is Health.COOLING


async def test_ten_thousand_accounts_make_no_storm(scene):
    """Not in the beginning, and not later: about four questions a second at the most."""
    scene.put(*(f"a{number}" for number in range(10_000)))
    async with scene.running():
        await scene.clock.advance(60)
    times = [at for at, _ in scene.server.asked]
    assert 180 < len(times) < 300
    assert min(b - a for a, b in pairwise(times)) >= SPACING_S - 1e-6
    assert max(scene.asked.values()) == 1


async def test_a_sweep_lets_others_run(scene):
    """It looks at a slice of the accounts at a time."""
    scene.put(*(f"a{number}" for number in range(3 * SLICE)))
    pauses = []
    sleep = scene.probes._sleep

    async def watched(seconds):
        pauses.append(seconds)
        await sleep(seconds)

    scene.probes._sleep = watched
    async with scene.running():
        await scene.clock.advance(0.1)
    assert pauses[:4] == [0, 0, 0, pytest.approx(pauses[3])]
    assert pauses[3] > 0


async def test_a_server_that_hangs_is_asked_by_few(scene):
    """No more than four at once, however many are due; then it goes on."""
    scene.put(*(f"a{number}" for number in range(30)))
    scene.server.gate = asyncio.Event()
    async with scene.running():
        await scene.clock.advance(3 * SWEEP_S)
        assert len(scene.server.asked) == FLIGHTS_MAX
        scene.server.gate.set()
        await scene.clock.advance(2 * SWEEP_S)
    assert len(scene.asked) == 30
    assert scene.server.under_way_max == FLIGHTS_MAX


async def test_a_refusal_is_counted_and_nothing_else(scene, caplog):
    """The health is as before; the account is left alone for longer each time; one line is said."""
    state = scene.put("a")
    scene.server.refuse("a", times=4)
    with caplog.at_level(logging.WARNING):
        async with scene.running():
            await scene.clock.advance(1_000)
    assert state.health is Health.READY
    assert scene.probes.counts.refused == 4
    assert scene.probes.counts.answered == 1
    times = [at for at, _ in scene.server.asked]
    assert times[4] - times[3] > times[1] - times[0]
    [record] = caplog.records
    assert "account=a reason=status 401" in record.getMessage()


async def test_a_failure_is_not_a_refusal(scene):
    """And a wait that the upstream names is kept."""
    scene.put("a")
    scene.server.faults["a"] = [UsageUnavailable("status 429", retry_after_s=500.0)]
    async with scene.running():
        await scene.clock.advance(490)
        assert len(scene.server.asked) == 1
        await scene.clock.advance(30)
    assert len(scene.server.asked) == 2
    assert (scene.probes.counts.refused, scene.probes.counts.failed) == (0, 1)


async def test_a_defect_ends_the_service_and_it_can_be_run_again(scene):
    """Who was being asked is asked an interval later."""
    scene.put("a")
    scene.server.faults["a"] = [ValueError("a defect")]
    task = asyncio.create_task(scene.probes.run())
    await scene.clock.advance(6)
    with pytest.raises(BaseExceptionGroup, match="unhandled"):
        await task
    async with scene.running():
        await scene.clock.advance(INTERVAL_S / 2)
        assert scene.asked == {"a": 1}
        await scene.clock.advance(INTERVAL_S)
    assert scene.asked["a"] >= 2


async def test_whoever_is_asked_as_the_service_is_cancelled_is_asked_again(scene):
    """Nothing stays behind."""
    scene.put("a")
    scene.server.gate = asyncio.Event()
    async with scene.running():
        await scene.clock.advance(6)
    assert scene.server.under_way == 0
    scene.server.gate.set()
    async with scene.running():
        await scene.clock.advance(INTERVAL_S * 1.3)
    assert scene.asked == {"a": 2}


async def test_an_operator_may_ask_at_once(scene):
    """Whether the service runs or not; the pool is told as well."""
    state = scene.put("a", heard_at=scene.clock.now())
    scene.server.says = lambda _: full(scene.clock.now() + 100)
    assert (await scene.probes.probe_now("a")).limit_reached
    assert state.paused_until > scene.clock.now()
    scene.server.refuse("a")
    with pytest.raises(UsageUnavailable, match="401"):
        await scene.probes.probe_now("a")
    with pytest.raises(UsageUnavailable, match="no such account"):
        await scene.probes.probe_now("b")
    assert scene.probes.counts.refused == 1


async def test_operators_share_the_places(scene):
    """However many accounts they ask for."""
    scene.put(*(f"a{number}" for number in range(20)))
    scene.server.gate = asyncio.Event()
    asking = asyncio.gather(*(scene.probes.probe_now(f"a{number}") for number in range(20)))
    await settle()
    assert scene.server.under_way == FLIGHTS_MAX
    scene.server.gate.set()
    await asking
    assert scene.server.under_way_max == FLIGHTS_MAX
    assert len(scene.asked) == 20
