"""Silence is time that a task waits, not time that passes."""

import asyncio

import pytest

from app.relay.silence import Silence
from tests.fakes.virtual import virtual


async def wait(silence: Silence, seconds: float) -> bool:
    """Wait as a reply does; True if the silence was broken off."""
    silence.wait()
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        if not silence.broke():
            raise
        return True
    finally:
        silence.waiting_since = 0.0
    return False


def passed_s() -> float:
    """Return how much virtual time has passed."""
    return asyncio.get_running_loop().time() - 1_000.0


@virtual
async def test_a_wait_that_lasts_too_long_is_broken_off():
    """At its limit, and the task goes on as if nothing had been cancelled."""
    silence = Silence(10.0)
    assert await wait(silence, 60.0)
    assert passed_s() == pytest.approx(10.0)
    assert asyncio.current_task().cancelling() == 0
    silence.stop()


@virtual
async def test_any_number_of_shorter_waits_is_no_silence():
    """Each begins anew."""
    silence = Silence(10.0)
    for _ in range(50):
        assert not await wait(silence, 9.9)
    assert await wait(silence, 60.0)
    assert passed_s() == pytest.approx(505.0)
    silence.stop()


@virtual
async def test_a_slow_caller_is_not_the_upstreams_silence():
    """The time between two waits does not count, nor towards the next."""
    silence = Silence(10.0)
    await asyncio.sleep(500.0)
    assert not await wait(silence, 9.9)
    await asyncio.sleep(35.0)
    began_s = passed_s()
    assert await wait(silence, 60.0)
    assert passed_s() - began_s == pytest.approx(10.0)
    silence.stop()


@virtual
async def test_the_limit_can_be_shortened():
    """For what should follow at once."""
    silence = Silence(300.0)
    silence.shorten(1.0)
    assert await wait(silence, 60.0)
    assert passed_s() == pytest.approx(1.0)
    silence.stop()


@virtual
async def test_nothing_is_broken_off_after_the_end():
    """No timer is left behind."""
    silence = Silence(10.0)
    silence.wait()
    silence.stop()
    await asyncio.sleep(100.0)
    assert not silence.broke()


@virtual
async def test_a_cancellation_of_somebody_else_goes_first():
    """Even if it comes in the very moment in which the silence ends."""
    seen = []

    async def waiter() -> None:
        silence = Silence(10.0)
        asyncio.get_running_loop().call_at(1_010.0, asyncio.current_task().cancel)
        try:
            seen.append(await wait(silence, 60.0))
        finally:
            silence.stop()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(waiter())
    assert seen == []


@virtual
async def test_outside_of_a_task_there_is_nobody_to_wake():
    """A callback may make one; it does no harm."""
    made = []
    asyncio.get_running_loop().call_soon(lambda: made.append(Silence(1.0)))
    await asyncio.sleep(0)
    made[0].wait()
    await asyncio.sleep(5.0)
    assert not made[0].broke()


@virtual
async def test_a_wait_that_is_all_but_over_is_over():
    """A timer for what is left of it would ring at the same moment, for ever."""
    silence = Silence(10.0)
    silence.waiting_since = asyncio.get_running_loop().time() - 10.0 + 1e-9
    silence._look()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.sleep(0)
    assert silence.broke()
