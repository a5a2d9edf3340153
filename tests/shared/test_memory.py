"""Shared state in memory, where it is more than `tests/shared/test_contract.py` asks of all."""

from app.domain.account import AccountId
from app.domain.shared import Claim, Missed, Snapshot, StoreChanged
from app.shared.memory import EVENTS_MAX, Hub, MemoryShared
from app.shared.shares import GAP_S, GRACE_S
from tests.fakes.clock import FakeClock

A = AccountId("a")
NOTHING = Snapshot()


async def test_a_process_alone_may_do_everything() -> None:
    """Without ever saying anything: nobody else is there."""
    one = MemoryShared(Hub(now=FakeClock().monotonic), incarnation="one")
    assert one.up
    assert list(await one.claim([Claim(A, 8, 0, 8)])) == [8]
    first = await one.lease("refresh:a", ttl_s=30.0)
    assert await one.lease("refresh:a", ttl_s=30.0) is None
    await one.release(first)
    assert (await one.lease("refresh:a", ttl_s=30.0)).number > first.number


async def test_a_lease_ends_by_itself() -> None:
    """Its holder may have died."""
    clock = FakeClock()
    one = MemoryShared(Hub(now=clock.monotonic), incarnation="one")
    await one.lease("x", ttl_s=30.0)
    await clock.advance(29.9)
    assert await one.lease("x", ttl_s=30.0) is None
    await clock.advance(0.2)
    assert await one.lease("x", ttl_s=30.0) is not None


async def test_events_are_kept_for_those_who_are_slow_but_not_for_ever() -> None:
    """Who was away for too long is told that it missed some."""
    hub = Hub(now=FakeClock().monotonic)
    one, two = MemoryShared(hub, incarnation="one"), MemoryShared(hub, incarnation="two")
    await two.publish(NOTHING)
    for number in range(EVENTS_MAX + 1):
        one.announce(StoreChanged(number))
    await one.publish(NOTHING)
    heard = (await two.publish(NOTHING)).news
    assert heard[:2] == [Missed(), StoreChanged(1)]
    assert len(heard) == EVENTS_MAX + 1


async def test_after_a_silence_of_all_nothing_is_granted_for_a_while() -> None:
    """Others may live and hold what they have not said again yet."""
    clock = FakeClock()
    one = MemoryShared(Hub(now=clock.monotonic), incarnation="one")
    await one.publish(NOTHING)
    await one.claim([Claim(A, 8, 0, 2)])
    await clock.advance(GAP_S + 0.1)
    await one.publish(NOTHING)
    assert list(await one.claim([Claim(A, 8, 2, 8)])) == [2]
    await clock.advance(GRACE_S)
    assert list(await one.claim([Claim(A, 8, 2, 8)])) == [8]
