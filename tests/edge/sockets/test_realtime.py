"""Tests of app.edge.sockets.realtime; tests/e2e/test_realtime.py has it in the real server."""

import asyncio
from typing import Any

import pytest

from app.domain.call import Call, Dialect
from app.domain.caller import Allowance, Caller, KeyId
from app.edge.guards import Guard
from app.edge.sockets.handshake import Door
from app.edge.sockets.realtime import RealtimeRoute, Terms
from app.edge.sockets.registry import Sockets
from app.errors import CapacityError
from app.ports import UpstreamFailure
from tests.edge.asgi import CALLER, KEY, Book, Callers
from tests.edge.books import Books
from tests.edge.sockets.peer import Peer
from tests.edge.sockets.test_handshake import BEARER, upgrade
from tests.fakes.clock import FakeClock

CREATED = b'{"type":"response.created"}'
DONE = b'{"type":"response.done"}'


class Tunnel:
    """An upstream, held by a test."""

    def __init__(self) -> None:
        self.code: int | None = None
        self.heard: list[bytes] = []
        self.closed = 0
        self._says: asyncio.Queue[bytes | None] = asyncio.Queue()

    def says(self, *messages: bytes) -> None:
        """Let messages come."""
        for message in messages:
            self._says.put_nowait(message)

    def ends(self, code: int) -> None:
        """Close it."""
        self.code = code
        self._says.put_nowait(None)

    async def send(self, data: bytes) -> None:
        """Keep it, or be over."""
        if self.code is not None:
            raise UpstreamFailure("over", sent=True)
        self.heard.append(data)

    async def read(self) -> bytes:
        """Return the next one."""
        message = await self._says.get()
        if message is None:
            raise UpstreamFailure("over", sent=True)
        return message

    async def close(self) -> None:
        """Count."""
        self.closed += 1


class Scene:
    """The route with everything around it faked."""

    def __init__(self, caller: Caller = CALLER, error: Exception | None = None) -> None:
        clock = FakeClock()
        self.books, self.book, self.tunnel = Books(clock), Book(), Tunnel()
        self.sockets = Sockets(connections_max=2)
        self.calls: list[Call] = []
        self._error = error
        guard = Guard(callers=Callers([(KEY, caller)]), clock=clock, allow_anonymous=False)
        self.route = RealtimeRoute(
            Terms(
                door=Door(guard, self.books.till, self.sockets),
                tunnels=self,
                till=self.books.till,
                sockets=self.sockets,
                clock=clock,
                observer=self.book,
                message_bytes_max=100,
                send_timeout_s=0.01,
            )
        )

    async def open(self, call: Call) -> Tunnel:
        """Return the tunnel, or raise."""
        self.calls.append(call)
        if self._error is not None:
            raise self._error
        return self.tunnel

    async def serve(self, peer: Peer, *, query: bytes = b"model=gpt-realtime") -> Peer:
        """Serve one session; nothing of it stays behind."""
        asked = upgrade(BEARER) | {"query_string": query}
        async with asyncio.timeout(10):
            await self.route.serve(asked, peer.receive, peer.send)
        assert len(self.sockets) == len(self.books.accountant) == 0
        return peer

    def start(self, peer: Peer) -> asyncio.Task[Peer]:
        """Serve it meanwhile."""
        return asyncio.create_task(self.serve(peer))


async def test_messages_go_both_ways_and_the_session_is_written_down() -> None:
    """As one call, with its dialect."""
    scene, peer = Scene(), Peer()
    task = scene.start(peer)
    peer.says('{"up":1}')
    scene.tunnel.says(CREATED, DONE)
    await peer.until(3)
    peer.leaves()
    await task
    assert scene.tunnel.heard == [b'{"up":1}']
    assert [each["type"] for each in peer.heard] == ["response.created", "response.done"]
    [call] = scene.calls
    assert (call.dialect, call.model, scene.tunnel.closed) == (Dialect.REALTIME, "gpt-realtime", 1)
    assert scene.book.calls == [(200, "ok")]
    assert [record.dialect for record in scene.books.records] == ["realtime"]
    assert scene.sockets.traffic.closed == {0: 1}


@pytest.mark.parametrize(("code", "expected"), [(1000, 1000), (4001, 4001), (1008, 1011)])
async def test_the_upstreams_end_is_the_callers(code, expected) -> None:
    """Codes that mean something to us alone are none of the caller's."""
    scene, peer = Scene(), Peer()
    task = scene.start(peer)
    await peer.until(1)
    scene.tunnel.ends(code)
    assert (await task).closed == expected


async def test_a_message_for_an_upstream_that_is_gone_ends_it() -> None:
    """Before anybody has read of its end."""
    scene, peer = Scene(), Peer()
    scene.tunnel.code = 1011
    peer.says("{}")
    assert (await scene.serve(peer)).closed == 1011


@pytest.mark.parametrize(("message", "code"), [(b"x", 1003), ("x" * 101, 1009)])
async def test_a_violation_ends_it(message, code) -> None:
    """And is said."""
    scene, peer = Scene(), Peer()
    peer.says(message)
    assert (await scene.serve(peer)).closed == code
    assert peer.heard[-1]["type"] == "error"


async def test_a_caller_that_does_not_read_is_left() -> None:
    """There is no farewell for whoever takes no byte."""
    scene, peer = Scene(), Peer()
    task = scene.start(peer)
    await peer.until(1)
    peer.reads = False
    scene.tunnel.says(DONE)
    assert (await task).closed is None


async def test_a_drain_waits_for_the_answer() -> None:
    """An idle session ends at once; a hurried one in any case."""
    idle, busy, late = (Scene() for _ in range(3))
    peers = [Peer() for _ in range(3)]
    tasks = [scene.start(peer) for scene, peer in zip((idle, busy, late), peers, strict=True)]
    for scene in (busy, late):
        scene.tunnel.says(CREATED)
    for peer, count in zip(peers, (1, 2, 2), strict=True):
        await peer.until(count)
    for scene in (idle, busy, late):
        scene.sockets.drain()
    assert (await tasks[0]).closed == 1012
    assert busy.sockets.states()["busy"] == 1
    busy.tunnel.says(DONE)
    assert (await tasks[1]).closed == 1012
    late.sockets.hurry()
    assert (await tasks[2]).closed == 1012


LIMITED = Caller(KeyId("key-1"), "tests", allowance=Allowance(day_nusd=0, tokens_per_minute=1))
OTHERS = Caller(KeyId("key-1"), "tests", models=("gpt-5.5",))


@pytest.mark.parametrize(("scene", "query", "status", "codes"), [
    (Scene, b"", 400, []),
    (Scene, b"model=" + b"x" * 999, 400, []),
    (lambda: Scene(OTHERS), b"model=m", 403, []),
    (lambda: Scene(error=CapacityError("full")), b"model=m", 503, [(503, "pool_busy")]),
])  # fmt: skip
async def test_what_is_wrong_is_told_over_http(scene, query, status, codes) -> None:
    """What got as far as an account is written down."""
    made: Any = scene()
    peer = await made.serve(Peer(), query=query)
    assert (peer.sent[0]["status"], made.book.calls) == (status, codes)


async def test_a_budget_that_does_not_reach_is_an_answer() -> None:
    """The ticket is given back."""
    scene = Scene(Caller(KeyId("key-1"), "tests", allowance=Allowance(concurrency_max=1)))
    peer = Peer()
    task = scene.start(peer)
    await peer.until(1)
    second = await scene.route.serve(upgrade(BEARER) | {"query_string": b"model=m"},
                                     (other := Peer()).receive, other.send)  # fmt: skip
    assert (second, other.sent[0]["status"]) == (None, 429)
    peer.leaves()
    await task
