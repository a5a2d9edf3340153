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
