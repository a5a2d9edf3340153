"""Tests of app.accounts.lane."""

import asyncio
from itertools import pairwise

import pytest

from app.accounts.lane import ASK_AGAIN_S, NAME, Lane
from app.ports import SharedUnavailable
from app.shared.memory import Hub, MemoryShared
from tests.fakes.clock import FakeClock, settle

SPACING_S = 0.25


class Away(MemoryShared):
    """Nobody can be asked."""

    async def lease(self, name, *, ttl_s):
        """Fail."""
        raise SharedUnavailable(f"away: no {name} for {ttl_s} s")


@pytest.fixture
def clock() -> FakeClock:
    """Time that stands still."""
    return FakeClock()


def lane_of(clock: FakeClock, shared=None) -> Lane:
    """Return one process's lane."""
    return Lane(spacing_s=SPACING_S, clock=clock, sleep=clock.sleep, shared=shared)


async def pass_through(lane: Lane, clock: FakeClock, entered: list[float]) -> None:
    """Take the lane for a second."""
    async with lane:
        entered.append(clock.monotonic())
        await clock.sleep(1)


async def test_the_lane_lets_one_through_at_a_time_and_spaces_them(clock):
    """Siblings of one client id never exchange together."""
    lane, entered = lane_of(clock), []
    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(pass_through(lane, clock, entered))
        await clock.advance(10)
    assert entered == [0.0, 1.25, 2.5, 3.75]


async def test_whoever_leaves_while_it_waits_in_the_lane_blocks_nobody(clock):
    """A cancelled waiter gives the lane back."""
    lane = lane_of(clock)
    async with lane:
        pass
    waiting = asyncio.create_task(lane.__aenter__())
    await settle()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    next_one = asyncio.create_task(lane.__aenter__())
    await clock.advance(1)
    await next_one


async def test_processes_use_one_lane(clock):
    """The next exchange of any of them begins when the last one is over, and not at once."""
    hub, entered = Hub(now=clock.monotonic), []
    lanes = [lane_of(clock, MemoryShared(hub, incarnation=name)) for name in ("one", "two")]
    async with asyncio.TaskGroup() as group:
        for lane in (*lanes, *lanes):
            group.create_task(pass_through(lane, clock, entered))
        await clock.advance(20)
    assert len(entered) == 4
    gaps = [after - before for before, after in pairwise(entered)]
    assert min(gaps) >= 1 + SPACING_S
    assert max(gaps) <= 1 + SPACING_S + ASK_AGAIN_S + 1e-6


async def test_nobody_to_ask_is_no_reason_to_wait(clock):
    """What keeps a token from being spent twice is the store then."""
    entered = []
    hub = Hub(now=clock.monotonic)
    await pass_in(lane_of(clock, Away(hub, incarnation="one")), clock, entered)
    assert entered == [0.0]


async def test_a_gateway_that_closes_does_not_wait_for_others(clock):
    """Its exchange is not begun any more, whoever has the lane."""
    hub, entered = Hub(now=clock.monotonic), []
    other = MemoryShared(hub, incarnation="two")
    assert await other.lease(NAME, ttl_s=1_000.0)
    lane = lane_of(clock, MemoryShared(hub, incarnation="one"))
    waiting = asyncio.create_task(pass_through(lane, clock, entered))
    await clock.advance(5)
    assert entered == []
    lane.closing = True
    await clock.advance(2)
    await waiting
    assert entered


async def pass_in(lane: Lane, clock: FakeClock, entered: list[float]) -> None:
    """Take the lane in virtual time."""
    task = asyncio.create_task(pass_through(lane, clock, entered))
    await clock.advance(5)
    await task
