"""Messages on their way to the server in front, without waiting for each of them.

The server takes a message on a thread of its own, in the order in which it was given them. To wait
for it wakes this loop once more for every message, which costs as much as the message does. So a
few may be under way; only a caller that reads slowly is waited for, and whoever ends a turn.
"""

from collections import deque
from collections.abc import Awaitable
from typing import Any, Final

from litestar.types import Send

UNDER_WAY_MAX: Final = 8
BYTES_MAX: Final = 64 << 10
"""Messages, and bytes of them, that nobody waits for."""
SERVER_SEND: Final = "codex2api.send"
"""Where a scope has the server's own `send`; the application's is wrapped, and tells nothing of
what is under way."""


class Outgoing:
    """One connection's. The order of what is given to it is kept."""

    __slots__ = ("_bytes", "_send", "_under_way")

    def __init__(self, send: Send) -> None:
        self._send: Any = send
        self._under_way: deque[tuple[Any, int]] = deque()
        self._bytes = 0

    def put(self, text: str) -> Awaitable[None] | None:
        """Send a message; what is returned has to be awaited before the next one is sent.

        Raises whatever the server says of a message before this one.
        """
        sending = self._send({"type": "websocket.send", "text": text, "bytes": None})
        if not hasattr(sending, "done"):
            # Another server, for which it is not under way before it is awaited.
            return sending  # type: ignore[no-any-return]  # what ASGI says it is
        under_way = self._under_way
        under_way.append((sending, len(text)))
        self._bytes += len(text)
        while under_way and under_way[0][0].done():
            self._take().result()
        if len(under_way) > UNDER_WAY_MAX or self._bytes > BYTES_MAX:
            return self._less()
        return None

    async def say(self, text: str) -> None:
        """Send a message; returns when another one may be sent."""
        waiting = self.put(text)
        if waiting is not None:
            await waiting

    async def flush(self) -> None:
        """Return once the server has taken everything."""
        while self._under_way:
            await self._take()

    async def _less(self) -> None:
        under_way = self._under_way
        while len(under_way) > UNDER_WAY_MAX or self._bytes > BYTES_MAX:
            await self._take()

    def _take(self) -> Any:
        sending, size = self._under_way.popleft()
        self._bytes -= size
        return sending
