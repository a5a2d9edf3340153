"""One answer on its way to the caller: head, bytes, end, and the silence between them.

Rule 1: one head, then bytes, then one end; nothing after it.
Rule 2: a stream is never silent for long: after `commit_after_s` the head goes out, and a comment
        (or what the dialect has for it) whenever nothing else did for `keepalive_s`. It stands
        between events only, because only whole events are ever written.

What becomes of a call whose caller leaves or does not read is in `app.edge.company`.
The server in front queues what `send` is given and makes it wait when the caller reads slowly,
which in turn keeps us from reading on: that is the whole of back-pressure.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from litestar.types import Receive, Send

from app.edge.company import Company, Headers, Pace
from app.edge.manners import COMMENT
from app.edge.stepping import begun

_STREAM_HEADERS: Final = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]
CLOSE: Final = (b"connection", b"close")
PIECE_BYTES: Final = 262_144
"""A longer answer goes out in pieces, so that a caller who does not read it is noticed."""


class Downstream(Company):
    """The way back to one caller. `close` it, whatever happens."""

    __slots__ = ("_closing", "_leaving", "_receive", "_send", "silence")

    def __init__(
        self, receive: Receive, send: Send, *, pace: Pace, closing: Callable[[], bool]
    ) -> None:
        """Take the ASGI pair of one request; `closing` tells whether a connection is to end."""
        super().__init__(pace)
        self._receive = receive
        self._send = send
        self._closing = closing
        self._leaving: Any = None
        self.silence = COMMENT
        """What goes out when nothing else did for a while."""

    def watch(self) -> None:
        """Notice from now on when the caller leaves; its body must have been read."""
        leaving = self._receive()
        if not hasattr(leaving, "add_done_callback"):
            leaving = self._loop.create_task(_wait_for(leaving))
        self._leaving = leaving
        leaving.add_done_callback(self._told)

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
        self._wrote_at = self._loop.time()
        await self._put(data, more=True)

    def push(self, data: bytes) -> Awaitable[None] | None:
        """Send whole events; return what has to be waited for before more is sent, if anything.

        The server queues what it is given, if there is room: then there is nothing to wait for,
        and it needs no task to find that out.
        """
        writing = self.write(data)
        return writing if self._pulse is not None else begun(writing)

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
        await super().close()
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

    def _told(self, leaving: Any) -> None:
        if self.ended or leaving.cancelled():
            return
        if leaving.result()["type"] == "http.disconnect":
            self.left()


async def _wait_for(message: Awaitable[Any]) -> Any:
    return await message
