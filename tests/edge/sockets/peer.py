"""A caller on a WebSocket, held by a test: what it sends, what it is sent, when it stops reading.

Like the real server, it can't close a connection that somebody still waits for input of.
"""

import asyncio
import json
from typing import Any


class Peer:
    """One connection's `receive` and `send`."""

    def __init__(self, *, polite: bool = True) -> None:
        """A polite one answers a close with its own."""
        self._incoming: asyncio.Queue[Any] = asyncio.Queue()
        self._incoming.put_nowait({"type": "websocket.connect"})
        self._polite = polite
        self._waiting = 0
        self._took = asyncio.Event()
        self.reads = True
        self.sent: list[Any] = []

    def says(self, *texts: str | bytes) -> None:
        """Let messages arrive."""
        for text in texts:
            name = "text" if isinstance(text, str) else "bytes"
            self._incoming.put_nowait({"type": "websocket.receive", name: text})

    def asks(self, **fields: Any) -> None:
        """Let a request arrive."""
        self.says(json.dumps({"type": "response.create", "model": "m", **fields}))

    def leaves(self) -> None:
        """Close the caller's side."""
        self._incoming.put_nowait({"type": "websocket.disconnect", "code": 1000})

    async def receive(self) -> Any:
        """Return the next message in."""
        self._waiting += 1
        try:
            return await self._incoming.get()
        finally:
            self._waiting -= 1

    async def send(self, message: Any) -> None:
        """Take the next message out, unless the caller does not read."""
        if not self.reads:
            await asyncio.get_running_loop().create_future()
        if message["type"] == "websocket.close":
            assert not self._waiting, "Granian would wait for ever"
            if self._polite:
                self.leaves()
        self.sent.append(message)
        self._took.set()

    async def until(self, count: int) -> None:
        """Return once so many messages are out."""
        while len(self.sent) < count:
            self._took.clear()
            await self._took.wait()

    @property
    def heard(self) -> list[dict[str, Any]]:
        """The messages that the caller was sent."""
        return [json.loads(each["text"]) for each in self.sent if each["type"] == "websocket.send"]

    @property
    def closed(self) -> int | None:
        """The code that the connection was closed with."""
        codes = [each["code"] for each in self.sent if each["type"] == "websocket.close"]
        assert len(codes) <= 1
        return codes[0] if codes else None
