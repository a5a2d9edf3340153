"""One socket: whose message is whose, and how slow readers are waited for."""

import asyncio
from random import Random

import pytest

from app.ports import UpstreamFailure
from app.upstream.sockets.life import PING_EVERY_S, PONG_WITHIN_S, Reason
from app.upstream.sockets.socket import UNREAD_BYTES_MAX, Socket, Traffic
from tests.fakes.clock import FakeClock
from tests.fakes.connection import FakeConnection, completed, created, delta, event
from tests.upstream.sockets.test_stock import key


class Scene:
    """A socket on a connection without a network."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.connection = FakeConnection()
        self.traffic = Traffic()
        self.closed: list[tuple[Reason, bool]] = []
        self.socket = Socket(
            key(),
            self.connection,
            clock=self.clock,
            rng=Random(1),
            traffic=self.traffic,
            closed=lambda _, reason, at_once: self.closed.append((reason, at_once)),
        )


async def test_a_turn_gets_the_messages_of_its_response():
    """The very objects that were received."""
    scene = Scene()
    turn = await scene.socket.ask(b"ask")
    said = [created("r"), delta("x"), completed("r")]
    scene.connection.hear(*said)
    read = [await turn.read() for _ in said]
    assert all(got is sent for got, sent in zip(read, said, strict=True))
    assert scene.socket.release()
    assert scene.traffic == Traffic(1, 3, 3, sum(map(len, said)))
    assert not scene.closed


async def test_a_reader_waits_for_what_comes():
    """And one who gives up waiting leaves nothing broken."""
    scene = Scene()
    turn = await scene.socket.ask(b"ask")
    reading = asyncio.create_task(turn.read())
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    reading = asyncio.create_task(turn.read())
    await asyncio.sleep(0)
    scene.connection.hear(created("r"), delta("x"))
    assert await reading == created("r")


async def test_a_socket_whose_turn_was_not_read_to_its_end_is_closed():
    """Whatever is unread must not reach the next one."""
    scene = Scene()
    await scene.socket.ask(b"ask")
    scene.connection.hear(created("r"), completed("r"))
    assert not scene.socket.release()
    assert scene.closed == [(Reason.STRAY, True)]


async def test_a_stray_message_closes_the_socket_and_reaches_nobody():
    """Neither the turn that is over nor the one that has just begun."""
    scene = Scene()
    turn = await scene.socket.ask(b"one")
    scene.connection.hear(created("r"), completed("r"))
    await turn.read()
    await turn.read()
    assert scene.socket.release()
    second = await scene.socket.ask(b"two")
    scene.connection.hear(delta("left over"))
    assert scene.closed == [(Reason.STRAY, True)]
    for reader in (turn, second):
        assert reader.drained
    with pytest.raises(UpstreamFailure):
        await second.read()


async def test_a_stray_message_on_an_idle_socket_closes_it():
    """And a private one does not."""
    scene = Scene()
    scene.connection.hear(event("codex.rate_limits"))
    assert not scene.closed
    scene.connection.hear(delta("?"))
    assert scene.closed == [(Reason.STRAY, True)]


async def test_what_came_before_the_end_of_the_connection_can_still_be_read():
    """Then comes the failure, with the close code and nothing secret."""
    scene = Scene()
    turn = await scene.socket.ask(b"ask")
    scene.connection.hear(created("r"))
    scene.connection.lose(1011)
    assert await turn.read() == created("r")
    with pytest.raises(UpstreamFailure, match=r"socket closed \(1011\)") as caught:
        await turn.read()
    assert caught.value.sent
    assert scene.closed == [(Reason.LOST, True)]


async def test_the_end_of_the_connection_after_the_terminal_event_harms_nobody():
    """The response was whole; only the socket is gone."""
    scene = Scene()
    turn = await scene.socket.ask(b"ask")
    scene.connection.hear(created("r"), completed("r"))
    scene.connection.lose(1000)
    assert [await turn.read(), await turn.read()] == [created("r"), completed("r")]
    assert not scene.socket.release()


async def test_a_slow_reader_keeps_the_connection_from_reading_on():
    """Until it has read what is there."""
    scene = Scene()
    turn = await scene.socket.ask(b"ask")
    scene.connection.hear(created("r"), delta("x" * UNREAD_BYTES_MAX), delta("y"))
    assert scene.connection.log == ["pause"]
    await turn.read()
    await turn.read()
    assert scene.connection.log == ["pause"]
    await turn.read()
    assert scene.connection.log == ["pause", "resume"]


async def test_a_paused_socket_is_not_closed_for_its_silence():
    """It could not hear a pong."""
    scene = Scene()
    turn = await scene.socket.ask(b"ask")
    scene.connection.hear(created("r"), delta("x" * UNREAD_BYTES_MAX))
    await scene.clock.advance(PING_EVERY_S)
    scene.socket.look()
    assert "ping" not in scene.connection.log
    await turn.read()
    await turn.read()
    scene.socket.look()
    assert scene.connection.log[-1] == "ping"
    await scene.clock.advance(PONG_WITHIN_S)
    scene.socket.look()
    assert scene.closed == [(Reason.SILENT, True)]


async def test_a_pong_keeps_it():
    """Silent or not."""
    scene = Scene()
    await scene.clock.advance(PING_EVERY_S)
    scene.socket.look()
    scene.socket.pong()
    await scene.clock.advance(PONG_WITHIN_S)
    scene.socket.look()
    assert not scene.closed


async def test_it_is_closed_once():
    """For the first reason."""
    scene = Scene()
    scene.socket.close(Reason.IDLE, now=False)
    scene.socket.close(Reason.DRAIN)
    scene.connection.lose()
    assert scene.closed == [(Reason.IDLE, False)]
    assert not scene.socket.release()
