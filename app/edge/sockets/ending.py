"""How a connection to a caller ends: it stops reading first, then says farewell, and not for long.

The server in front closes only while nobody waits for what comes in.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

from litestar.types import Receive, Send

from app.edge.sockets.machine import Close
from app.edge.sockets.outgoing import Outgoing
from app.edge.sockets.registry import Sockets
from app.edge.sockets.speaker import error_message

FAREWELL_S: Final = 5.0
"""How long a close may take to go out, and to be answered."""
LEFT: Final = 0
"""Stands for the code where the caller has closed, or is just gone."""


class Ending:
    """What every connection is at its end."""

    def __init__(self, receive: Receive, send: Send, *, request_id: str) -> None:
        self._receive = receive
        self._asgi_send = send
        self._outgoing = Outgoing(send)
        self._request_id = request_id
        self._reader: asyncio.Task[Any] | None = None
        self._over = False
        """Nothing is read any more: the end has gone out, or nobody takes it."""
        self._farewell: Close | None = None

    async def _until_over(self, read: Callable[[], Awaitable[None]]) -> None:
        """Let `read` run until it returns or `_end` is called, whoever calls it."""
        self._reader = asyncio.current_task()
        try:
            await read()
        except asyncio.CancelledError:
            if not self._over:
                raise
            if self._reader is not None:
                self._reader.uncancel()

    def _end(self, farewell: Close | None = None) -> None:
        """Read no more; say farewell, unless there is nobody to hear it."""
        if self._over:
            return
        self._over = True
        self._farewell = farewell
        if self._reader is not None and self._reader is not asyncio.current_task():
            self._reader.cancel()

    async def _send(self, text: str) -> None:
        await self._outgoing.say(text)

    async def _say_farewell(self) -> None:
        """Say why, close, and wait for the caller to do the same, but not for long."""
        close = self._farewell
        if close is None:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_S):
                if close.error is not None:
                    await self._send(error_message(close.error, self._request_id).decode())
                await self._asgi_send(
                    {"type": "websocket.close", "code": close.code, "reason": close.reason}
                )
                message: Any = {}
                while message.get("type") != "websocket.disconnect":
                    message = await self._receive()

    def _count(self, sockets: Sockets) -> None:
        """Count the end."""
        code = self._farewell.code if self._farewell is not None else LEFT
        closed = sockets.traffic.closed
        closed[code] = closed.get(code, 0) + 1
