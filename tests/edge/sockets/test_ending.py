"""Tests of app.edge.sockets.ending; tests/edge/sockets/test_connection.py has it at work."""

import asyncio

import pytest

from app.edge.sockets.ending import Ending
from app.edge.sockets.machine import Close
from app.edge.sockets.registry import Sockets
from app.errors import Draining
from tests.edge.sockets.peer import Peer


async def test_whoever_ends_it_the_reading_stops_first() -> None:
    """Then the error and the close go out, and the caller's own close is taken in."""
    peer = Peer()
    await peer.receive()
    ending = Ending(peer.receive, peer.send, request_id="req_1")

    async def read() -> None:
        await peer.receive()

    reading = asyncio.create_task(ending._until_over(read))
    await asyncio.sleep(0)
    ending._end(Close(1012, "restarting", Draining("bye")))
    ending._end(Close(1000, "too late"))
    await reading
    await ending._say_farewell()
    assert (peer.closed, peer.heard[0]["error"]["code"]) == (1012, "server_draining")
    sockets = Sockets(connections_max=1)
    ending._count(sockets)
    assert sockets.traffic.closed == {1012: 1}


async def test_nothing_is_said_to_whoever_has_left() -> None:
    """It is counted all the same."""
    peer = Peer()
    ending = Ending(peer.receive, peer.send, request_id="req_1")
    ending._end()
    await ending._say_farewell()
    sockets = Sockets(connections_max=1)
    ending._count(sockets)
    assert (peer.sent, sockets.traffic.closed) == ([], {0: 1})


async def test_another_ones_cancellation_is_not_swallowed() -> None:
    """Only our own end is."""
    peer = Peer()
    await peer.receive()
    ending = Ending(peer.receive, peer.send, request_id="req_1")

    async def read() -> None:
        await peer.receive()

    reading = asyncio.create_task(ending._until_over(read))
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
