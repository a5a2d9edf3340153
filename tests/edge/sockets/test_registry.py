"""Tests of app.edge.sockets.registry."""

import asyncio

import pytest

from app.edge.sockets.machine import State
from app.edge.sockets.registry import SLICE, Sockets
from app.errors import Draining, Overloaded


class Connection:
    """One that does as it is told."""

    def __init__(self, sockets: Sockets) -> None:
        self._sockets = sockets
        self.state = State.IDLE
        self.told: list[str] = []
        sockets.enter(self)

    def drain(self) -> None:
        """Note it; one that is idle is over."""
        self.told.append("drain")
        if self.state is State.IDLE:
            self._sockets.leave(self)

    def hurry(self) -> None:
        """Note it."""
        self.told.append("hurry")
        self._sockets.leave(self)


async def test_there_are_so_many_connections_at_most() -> None:
    """One more is told to come back."""
    sockets = Sockets(connections_max=2)
    first = Connection(sockets)
    sockets.admit()
    Connection(sockets)
    with pytest.raises(Overloaded) as refused:
        sockets.admit()
    assert refused.value.retry_after_s == 2.0
    sockets.leave(first)
    sockets.admit()
    assert (len(sockets), sockets.traffic.opened) == (1, 2)


async def test_states_are_counted() -> None:
    """Every state is there, so that an alert can see it come."""
    sockets = Sockets(connections_max=9)
    Connection(sockets)
    Connection(sockets).state = State.BUSY
    assert sockets.states() == {"idle": 1, "busy": 1, "closing": 0}


async def test_a_drain_ends_idle_ones_and_lets_nobody_in() -> None:
    """Many of them a slice at a time; the busy ones stay until they are done or hurried."""
    sockets = Sockets(connections_max=10_000)
    idle = [Connection(sockets) for _ in range(2 * SLICE)]
    busy = Connection(sockets)
    busy.state = State.BUSY
    sockets.drain()
    sockets.drain()
    assert len(sockets) == SLICE + 1
    with pytest.raises(Draining):
        sockets.admit()
    idle[-1].hurry()
    for _ in range(3):
        await asyncio.sleep(0)
    assert len(sockets) == 1
    assert [each.told for each in idle[:-1]] == [["drain"]] * (2 * SLICE - 1)
    assert idle[-1].told == ["hurry"]
    gone: list[bool] = []
    sockets.when_none(lambda: gone.append(True))
    assert not gone
    sockets.hurry()
    assert gone == [True]
    assert busy.told == ["drain", "hurry"]


async def test_one_that_comes_late_is_drained_as_it_comes() -> None:
    """Its handshake was under way."""
    sockets = Sockets(connections_max=9)
    sockets.drain()
    assert Connection(sockets).told == ["drain"]
    assert len(sockets) == 0
    gone: list[bool] = []
    sockets.when_none(lambda: gone.append(True))
    assert gone == [True]
