"""Tests of app.compose.leaving."""

import asyncio

import pytest

from app.compose.leaving import Leaving
from app.errors import Draining, GatewayError
from app.limits import Limits
from app.telemetry.heartbeat import Heartbeat


async def test_a_worker_retires_in_two_steps_and_then_hurries():
    """It withdraws, it drains after the dwell, and what still runs is told so."""
    leaving = Leaving(Limits(routing_dwell_s=0.01), Heartbeat())
    told: list[GatewayError] = []
    place = leaving.in_flight.enter(told.append)
    leaving.retire()
    assert leaving.in_flight.draining
    leaving.in_flight.enter().leave()
    leaving.sockets.admit()

    async def refused() -> None:
        while True:
            try:
                leaving.in_flight.enter().leave()
            except Draining:
                return
            await asyncio.sleep(0)

    await asyncio.wait_for(refused(), 10)
    with pytest.raises(Draining):
        leaving.sockets.admit()
    assert told == []
    leaving.hurry()
    assert [error.code for error in told] == ["server_draining"]
    place.leave()
    gone: list[bool] = []
    leaving.when_none(lambda: gone.append(True))
    assert gone == [True]


def test_descriptors_are_counted_once_they_are_measured():
    """Those that this process may open are far more than it has."""
    leaving = Leaving(Limits(), Heartbeat())
    leaving.strain.measure()
    assert leaving.strain.word == ""
