"""Tests of app.edge.sockets.connection."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from app.domain.call import Dialect
from app.edge.company import Pace
from app.edge.dataplane import Turn
from app.edge.request import read_head
from app.edge.sockets import ending as endings
from app.edge.sockets.connection import Connection, Terms
from app.edge.sockets.machine import SocketBounds, State
from app.edge.sockets.registry import Sockets
from app.edge.sockets.speaker import error_message
from app.edge.sockets.way import TurnWay
from app.errors import GatewayError, StreamIncomplete, TooManyRequests
from tests.edge.asgi import with_key
from tests.edge.sockets.peer import Peer

PATIENT = Pace(60.0, 60.0, 60.0)
Answer = Callable[["Plane", TurnWay, bytes], Awaitable[GatewayError | None]]


class Plane:
    """A data plane that answers turns as it is told."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.turns: list[tuple[str, bytes]] = []
        self.begun = asyncio.Event()
        self.go = asyncio.Event()
        self.ended: list[str] = []

    async def take(self, speaker: Any, way: TurnWay, turn: Turn) -> GatewayError | None:
        """Answer one turn, as the real one does: whatever happens, the way is closed."""
        del speaker
        body = turn.let_go()
        self.turns.append((turn.head.request_id, body))
        self.begun.set()
        try:
            return await self._answer(self, way, body)
        except asyncio.CancelledError:
            asyncio.current_task().uncancel()
            self.ended.append("gone" if way.gone else way.cut.code)
            return way.cut
        finally:
            await way.close()


class Speaker:
    """The one of a connection, as far as it is asked here."""

    dialect = Dialect.RESPONSES

    def __init__(self, *, codex_route: bool = False) -> None:
        self.codex_route = codex_route


async def echo(plane: Plane, way: TurnWay, body: bytes) -> GatewayError | None:
    """Say what was asked."""
    del plane
    await way.start([])
    await way.end([body])
    return None


async def wait(plane: Plane, way: TurnWay, body: bytes) -> GatewayError | None:
    """Say what was asked, and go on when told to."""
    await way.start([])
    way.expect_stream()
    await way.write([body])
    await plane.go.wait()
    await way.end([body])
    return None


async def fail(plane: Plane, way: TurnWay, body: bytes) -> GatewayError | None:
    """Break."""
    del plane, body
    error = StreamIncomplete("cut")
    await way.end([b'{"type":"error"}'])
    return error


class Scene:
    """A connection with everything around it faked."""

    def __init__(
        self,
        answer: Answer = echo,
        *,
        peer: Peer | None = None,
        codex_route: bool = False,
        pace: Pace = PATIENT,
        **bounds: float,
    ) -> None:
        self.peer = peer or Peer()
        self.plane = Plane(answer)
        self.sockets = Sockets(connections_max=10)
        terms = Terms(self.plane, self.sockets, SocketBounds(**bounds), pace)
        head = read_head(with_key(("x-request-id", "mine"), method="GET"))
        self.connection = Connection(
            terms, Speaker(codex_route=codex_route), head, self.peer.receive, self.peer.send
        )

    async def run(self) -> int | None:
        """Serve it to its end; return the code that it was closed with."""
        await self.peer.receive()  # the handshake's own
        async with asyncio.timeout(10):
            await self.connection.run()
        assert len(self.sockets) == 0
        assert sum(self.sockets.traffic.closed.values()) == 1
        return self.peer.closed

    def start(self) -> asyncio.Task[int | None]:
        """Serve it meanwhile."""
        return asyncio.create_task(self.run())


async def test_turns_follow_one_another() -> None:
    """Each has a name of its own; what comes and goes is counted."""
    scene = Scene()
    scene.peer.asks(input="1")
    scene.peer.asks(input="2")
    task = scene.start()
    await scene.peer.until(2)
    scene.peer.leaves()
    assert await task is None
    assert [each["input"] for each in scene.peer.heard] == ["1", "2"]
    assert [name for name, _ in scene.plane.turns] == ["mine.1", "mine.2"]
    traffic = scene.sockets.traffic
    assert (traffic.messages_in, traffic.messages_out, traffic.closed) == (2, 2, {0: 1})
    assert traffic.bytes_in == traffic.bytes_out > 100


async def test_a_second_request_waits_for_the_first() -> None:
    """One response at a time; nothing is refused for it."""
    scene = Scene(wait)
    scene.peer.asks(input="1")
    scene.peer.asks(input="2")
    task = scene.start()
    await scene.peer.until(1)
    assert len(scene.plane.turns) == 1
    assert scene.connection.state is State.BUSY
    scene.plane.go.set()
    await scene.peer.until(4)
    scene.peer.leaves()
    await task
    assert [each["input"] for each in scene.peer.heard] == ["1", "1", "2", "2"]


@pytest.mark.parametrize(("text", "code", "closed"), [
    ("{", "invalid_request", 1008),
    ("[]", "invalid_request", 1008),
    ('{"type": "response.append"}', "invalid_request", 1008),
    (b"{}", "invalid_request", 1003),
    ("x" * 101, "payload_too_large", 1009),
])  # fmt: skip
@pytest.mark.parametrize("running", [False, True])
async def test_a_violation_is_said_and_ends_it(text, code, closed, running) -> None:
    """Also in the middle of a turn, which ends with it."""
    scene = Scene(wait if running else echo, message_bytes_max=100)
    if running:
        scene.peer.asks(input="1")
    task = scene.start()
    if running:
        await scene.peer.until(1)
    scene.peer.says(text, '{"input": "after the end"}')
    assert await task == closed
    if running:
        assert scene.plane.ended == [code]
    else:
        [error] = scene.peer.heard
        assert (error["error"]["code"], error["headers"]["x-request-id"]) == (code, "mine")
        assert scene.plane.turns == []


async def test_what_means_nothing_begins_nothing() -> None:
    """Some clients confirm what they have taken in."""
    scene = Scene()
    scene.peer.says('{"type": "response.processed", "response_id": "resp_1"}', '{"type": ""}')
    task = scene.start()
    await scene.peer.until(1)
    scene.peer.leaves()
    await task
    assert [body for _, body in scene.plane.turns] == [b'{"type": ""}']


async def test_an_error_of_a_turn_closes_with_its_code() -> None:
    """The turn has said it."""
    scene = Scene(fail)
    scene.peer.asks()
    assert await scene.start() == 1011
    assert scene.sockets.traffic.closed == {1011: 1}


async def test_a_caller_that_leaves_takes_its_turn_along() -> None:
    """Even one that leaves before the turn is under way."""
    for early in (False, True):
        scene = Scene(wait)
        scene.peer.asks()
        if early:
            scene.peer.leaves()
        task = scene.start()
        if not early:
            await scene.peer.until(1)
            scene.peer.leaves()
        await task
        assert scene.plane.ended == ["gone"]


async def test_a_caller_that_does_not_read_is_left() -> None:
    """There is no farewell for whoever takes no byte."""
    scene = Scene(wait, pace=Pace(60.0, 0.005, 0.01))
    scene.peer.asks()
    scene.peer.reads = False
    assert await scene.start() is None
    assert scene.plane.ended == ["gone"]


async def test_a_caller_that_does_not_answer_a_close_is_not_waited_for(monkeypatch) -> None:
    """Not for long, that is; nor one that takes not even the close."""
    monkeypatch.setattr(endings, "FAREWELL_S", 0.01)
    assert await Scene(peer=Peer(polite=False), first_message_s=0.0).run() == 1008
    deaf = Scene(first_message_s=0.0)
    deaf.peer.reads = False
    assert await deaf.run() is None


async def test_a_drain_closes_an_idle_one_at_once_and_a_busy_one_after_its_turn() -> None:
    """Both with the code of a restart."""
    lazy, busy = Scene(), Scene(wait)
    busy.peer.asks(input="1")
    busy.peer.asks(input="2")
    tasks = [lazy.start(), busy.start()]
    await busy.peer.until(1)
    await asyncio.sleep(0)
    for scene in (lazy, busy):
        scene.sockets.drain()
    assert await tasks[0] == 1012
    assert busy.connection.state is State.BUSY
    busy.plane.go.set()
    assert await tasks[1] == 1012
    assert len(busy.plane.turns) == 1


async def test_a_hurry_cuts_the_turn() -> None:
    """It ends with the error that says so."""
    scene = Scene(wait)
    scene.peer.asks()
    task = scene.start()
    await scene.peer.until(1)
    scene.sockets.hurry()
    assert await task == 1012
    assert scene.plane.ended == ["server_draining"]


async def test_a_connection_that_comes_in_a_drain_is_closed() -> None:
    """Its handshake was under way when the drain began."""
    scene = Scene()
    scene.sockets.drain()
    assert await scene.run() == 1012


async def test_idleness_ends_it() -> None:
    """Whoever says nothing at first is told so."""
    scene = Scene(first_message_s=0.0)
    assert await scene.run() == 1008
    assert scene.peer.heard[0]["error"]["code"] == "request_timeout"


async def test_a_codex_client_is_kept_company() -> None:
    """Others have pings of their own, and would not know the message."""
    for codex_route, heard in ((True, [{}, {"type": "codex.keepalive"}]), (False, [{}])):
        scene = Scene(company, codex_route=codex_route, pace=Pace(60.0, 0.001, 60.0))
        scene.peer.says("{}")
        task = scene.start()
        await scene.peer.until(len(heard))
        scene.plane.go.set()
        scene.peer.leaves()
        await task
        assert scene.peer.heard[: len(heard)] == heard


async def company(plane: Plane, way: TurnWay, body: bytes) -> GatewayError | None:
    """Say what was asked, and nothing for a while."""
    await way.start([])
    await way.write([body])
    way.expect_stream()
    await plane.go.wait()
    return None


async def test_a_limit_is_said_with_the_time_to_wait() -> None:
    """As an HTTP answer would in its headers."""
    error = TooManyRequests("slow down", retry_after_s=7.0)
    said = json.loads(error_message(error, "req_1"))
    assert (said["type"], said["status"], said["headers"]["retry-after"]) == ("error", 429, "7")
    assert "content-type" not in said["headers"]


async def test_the_servers_own_end_is_not_swallowed() -> None:
    """A task that is cancelled from outside ends as cancelled."""
    scene = Scene()
    task = scene.start()
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
