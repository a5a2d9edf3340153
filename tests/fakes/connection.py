"""A connection without a network: what was sent on it, and what a test lets it receive."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from app.upstream.sockets.connection import Listener, Target


def event(kind: str, **fields: Any) -> bytes:
    """Return an event as a message."""
    return msgspec.json.encode({"type": kind, **fields})


def created(id: str) -> bytes:
    """Return the event that begins a response."""
    return event("response.created", response={"id": id})


def delta(text: str) -> bytes:
    """Return an event with content."""
    return event("response.output_text.delta", delta=text)


def completed(id: str) -> bytes:
    """Return the event that ends a response well."""
    return event("response.completed", response={"id": id})


class FakeConnection:
    """Satisfies `app.upstream.sockets.connection.Connection`."""

    def __init__(self, headers: list[tuple[str, str]] | None = None) -> None:
        self.headers = headers or []
        self.log: list[str] = []
        self.sent: list[bytes] = []
        self.listener: Listener | None = None
        self.pongs = False
        """It answers pings."""
        self.on_sent: Callable[[FakeConnection, bytes], None] | None = None
        self.target: Target | None = None

    def listen(self, listener: Listener) -> None:
        """Note who listens."""
        self.listener = listener

    async def send(self, data: bytes) -> None:
        """Note what is sent; a connection that is over can't."""
        await asyncio.sleep(0)
        if self.listener is None:
            raise ConnectionError("over")
        self.sent.append(data)
        if self.on_sent is not None:
            self.on_sent(self, data)

    def ping(self) -> None:
        """Note it."""
        self.log.append("ping")
        if self.pongs and self.listener is not None:
            asyncio.get_running_loop().call_later(0.1, self.listener.pong)

    def pause(self) -> None:
        """Note it."""
        self.log.append("pause")

    def resume(self) -> None:
        """Note it."""
        self.log.append("resume")

    async def close(self) -> None:
        """Note it; a handshake takes a turn of the loop."""
        self.log.append("close")
        await asyncio.sleep(0)

    def abort(self) -> None:
        """Note it."""
        self.log.append("abort")

    def hear(self, *messages: bytes) -> None:
        """Receive messages."""
        for message in messages:
            if self.listener is not None:
                self.listener.message(message)

    def lose(self, code: int = 1006) -> None:
        """End."""
        listener, self.listener = self.listener, None
        if listener is not None:
            listener.lost(code, "")
