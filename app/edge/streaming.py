"""One answer on its way to the caller: head, bytes, end, and the silence between them.

Rule 1: one head, then bytes, then one end; nothing after it.
Rule 2: a stream is never silent for long: after `commit_after_s` the head goes out, and a comment
        (or what the dialect has for it) whenever nothing else did for `keepalive_s`. It stands
        between events only, because only whole events are ever written.
Rule 3: a caller that leaves, or that takes no byte for `send_timeout_s`, ends its call at once:
        the task that made this object is cancelled, with `gone` set. One that leaves a call for
        which there is `patience` ends it only after that; nothing is written any more.

The server in front queues what `send` is given and makes it wait when the caller reads slowly,
which in turn keeps us from reading on: that is the whole of back-pressure.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from litestar.types import Receive, Send
from msgspec import Struct

from app.edge.manners import COMMENT

_STREAM_HEADERS: Final = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]
CLOSE: Final = (b"connection", b"close")
PIECE_BYTES: Final = 262_144
"""A longer answer goes out in pieces, so that a caller who does not read it is noticed."""

Headers = list[tuple[bytes, bytes]]


class Pace(Struct, frozen=True):
    """How long a stream may be silent, and how long a caller may not read; seconds."""

    commit_after_s: float
    keepalive_s: float
    send_timeout_s: float


class Downstream:
    """The way back to one caller. `close` it, whatever happens."""

    __slots__ = (
        "_beat",
        "_closing",
        "_leaving",
        "_loop",
        "_pace",
        "_pulse",
        "_receive",
        "_send",
        "_sending_since",
        "_task",
        "_wrote_at",
        "ended",
        "gone",
        "headers",
        "patience",
        "silence",
        "started",
        "status",
        "stayed",
    )

    def __init__(
        self, receive: Receive, send: Send, *, pace: Pace, closing: Callable[[], bool]
    ) -> None:
        """Take the ASGI pair of one request; `closing` tells whether a connection is to end."""
        self._receive = receive
        self._send = send
        self._pace = pace
        self._closing = closing
        self.headers: Headers = []
        """Go out with every head; may grow until then."""
        self.silence = COMMENT
        """What goes out when nothing else did for a while."""
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._beat: asyncio.TimerHandle | None = None
        self._pulse: asyncio.Task[None] | None = None
        self._leaving: Any = None
        self._sending_since = 0.0
        self._wrote_at = 0.0
        self.ended = False
        """The end has gone out."""
        self.started = False
        """The head has gone out: the status can't be changed any more."""
        self.status = 0
        self.gone = False
        """The caller has left, or might as well have."""
        self.patience: Callable[[], float] = float
        """Asked when the caller leaves: for how many seconds its call goes on all the same."""
        self.stayed = False
        """The caller has left, and the call went on."""

    def watch(self) -> None:
        """Notice from now on when the caller leaves; its body must have been read."""
        leaving = self._receive()
        if not hasattr(leaving, "add_done_callback"):
            leaving = self._loop.create_task(_wait_for(leaving))
        self._leaving = leaving
        leaving.add_done_callback(self._left)

    def expect_stream(self) -> None:
        """Keep the caller company from now on, until a stream begins or an error is known."""
        self._beat = self._loop.call_later(self._pace.commit_after_s, self._tick)

    async def quiet(self) -> None:
        """Return once no comment is going out: until then nobody knows whether a head has."""
        if self._pulse is not None:
            await self._pulse
            self._pulse = None

    async def start(self, headers: Headers) -> None:
        """Begin a stream, unless its head has gone out already."""
        await self.quiet()
        if not self.started:
            await self._send_head(200, [*_STREAM_HEADERS, *headers])

    async def write(self, data: bytes) -> None:
        """Send whole events; returns when the caller's side has taken them in."""
        if self._pulse is not None:
            await self._pulse
            self._pulse = None
        # Spelled out, not `_put`: this is the one path that every event takes.
        self._wrote_at = self._sending_since = self._loop.time()
        await self._send({"type": "http.response.body", "body": data, "more_body": True})
        self._sending_since = 0.0

    async def end(self, data: bytes) -> None:
        """Send the last bytes and the end."""
        await self.quiet()
        self.ended = True
        await self._put(data, more=False)

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole answer."""
        length = (b"content-length", b"%d" % len(body))
        await self._send_head(status, [*headers, length])
        start = 0
        if len(body) > PIECE_BYTES:
            if self._beat is None:
                self._beat = self._loop.call_later(self._pace.send_timeout_s, self._tick)
            view = memoryview(body)
            for start in range(PIECE_BYTES, len(body), PIECE_BYTES):
                await self._put(bytes(view[start - PIECE_BYTES : start]), more=True)
        await self.end(body[start:] if start else body)

    async def close(self) -> None:
        """Let go of timers and watchers. The connection is the server's."""
        self.ended = True
        if self._beat is not None:
            self._beat.cancel()
        if self._pulse is not None:
            self._pulse.cancel()
            await asyncio.gather(self._pulse, return_exceptions=True)
        if isinstance(self._leaving, asyncio.Task):
            self._leaving.cancel()
        self._leaving = None

    async def _send_head(self, status: int, headers: Headers) -> None:
        self.started = True
        self.status = status
        all_headers = [*self.headers, *headers]
        if self._closing():
            all_headers.append(CLOSE)
        await self._send({"type": "http.response.start", "status": status, "headers": all_headers})

    async def _put(self, data: bytes, *, more: bool) -> None:
        self._sending_since = self._loop.time()
        await self._send({"type": "http.response.body", "body": data, "more_body": more})
        self._sending_since = 0.0

    async def _keep_alive(self) -> None:
        if not self.started:
            await self._send_head(200, _STREAM_HEADERS)
        await self._put(self.silence, more=True)

    def _tick(self) -> None:
        """Look whether the silence has lasted too long; one timer a stream, rarely ringing."""
        now, pace = self._loop.time(), self._pace
        if self._sending_since:
            due_s = self._sending_since + pace.send_timeout_s - now
            if due_s <= 0:
                self._give_up()
                return
        elif self.ended:
            return
        else:
            due_s = self._wrote_at + pace.keepalive_s - now
            if not self.started or due_s <= 0:
                self._wrote_at = now
                self._pulse = self._loop.create_task(self._keep_alive())
                due_s = pace.keepalive_s
        self._beat = self._loop.call_later(due_s, self._tick)

    def _left(self, leaving: Any) -> None:
        if self.ended or leaving.cancelled():
            return
        if leaving.result()["type"] != "http.disconnect":
            return
        patience_s = self.patience()
        if not patience_s:
            self._give_up()
            return
        self.gone = self.stayed = True
        if self._beat is not None:
            self._beat.cancel()
        self._beat = self._loop.call_later(patience_s, self._cancel)

    def _give_up(self) -> None:
        if self.gone:
            return
        self.gone = True
        self._cancel()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()


async def _wait_for(message: Awaitable[Any]) -> Any:
    return await message
