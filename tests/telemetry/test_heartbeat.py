"""The heartbeat tells how late the loop is."""

import asyncio

import pytest

from app.telemetry.heartbeat import INTERVAL_S, Heartbeat
from tests.fakes.virtual import virtual


@virtual
async def test_a_loop_that_is_held_up_shows_as_lag():
    """And one that is not, shows none."""
    heartbeat = Heartbeat()
    loop = asyncio.get_running_loop()
    running = asyncio.create_task(heartbeat.run())
    await asyncio.sleep(INTERVAL_S * 3.5)
    assert heartbeat.lag_s == pytest.approx(0.0, abs=1e-6)

    def hold_up() -> None:
        loop._waitless.passed_s += 2.0

    loop.call_soon(hold_up)
    await asyncio.sleep(0)
    await asyncio.sleep(0.001)
    assert heartbeat.lag_s == pytest.approx(1.75, abs=0.01)
    running.cancel()


@virtual
async def test_what_is_due_is_done_with_each_beat():
    """The clock's correction, for one."""
    beats: list[float] = []
    loop = asyncio.get_running_loop()
    running = asyncio.create_task(Heartbeat(lambda: beats.append(loop.time())).run())
    begun_at = loop.time()
    await asyncio.sleep(INTERVAL_S * 3.5)
    running.cancel()
    assert [at - begun_at for at in beats] == pytest.approx([INTERVAL_S * n for n in (1, 2, 3)])


@virtual
async def test_a_beat_that_is_overdue_is_lag_already():
    """Whoever asks first after a stall is told of it."""
    heartbeat = Heartbeat()
    assert heartbeat.lag_s == 0.0
    loop = asyncio.get_running_loop()
    running = asyncio.create_task(heartbeat.run())
    await asyncio.sleep(0)
    assert heartbeat.beats == 1
    await asyncio.sleep(INTERVAL_S * 1.5)
    assert heartbeat.beats == 2
    loop._waitless.passed_s += 3.0
    assert heartbeat.lag_s == pytest.approx(3.0 - INTERVAL_S / 2)
    running.cancel()
