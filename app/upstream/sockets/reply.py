"""A reply that comes over a socket, and one that says why there is none.

Both satisfy `app.ports.UpstreamReply`.
"""

from collections.abc import Callable, Sequence
from typing import Final

from app.upstream.sockets.frames import Refusal
from app.upstream.sockets.life import Reason
from app.upstream.sockets.socket import Socket, Turn

_OF_EVERY_TURN: Final = frozenset({"openai-model", "x-models-etag", "x-reasoning-included"})


class SocketReply:
    """One turn's messages, from the first that came."""

    __slots__ = ("_early", "_over", "_put_back", "_socket", "_turn", "headers")

    messages = True
    retold = None
    feed = None
    status = 200

    def __init__(
        self, socket: Socket, turn: Turn, early: list[bytes], *, put_back: Callable[[Socket], None]
    ) -> None:
        """Take a turn over, with what was read of it already."""
        self._socket = socket
        self._turn = turn
        self._early = early[::-1]
        self._put_back = put_back
        self._over = False
        self.headers = _headers(socket)

    async def read(self) -> bytes:
        """Return the next message: there is no end but the terminal event.

        Raises:
            UpstreamFailure: The socket broke off.
        """
        if self._early:
            return self._early.pop()
        return await self._turn.read()

    async def finish(self) -> None:
        """Give the socket back, if its terminal event was a good one and the last that came."""
        if not self._over:
            self._over = True
            if self._socket.release():
                self._put_back(self._socket)

    async def abort(self) -> None:
        """Close the socket: the upstream stops, and nothing of this turn reaches another."""
        if not self._over:
            self._over = True
            self._socket.close(Reason.ABANDONED)


class RefusalReply:
    """A refusal by a handshake or an error event, as HTTP would have brought it."""

    __slots__ = ("_body", "headers", "status")

    messages = False
    retold = None
    feed = None

    def __init__(self, refusal: Refusal) -> None:
        self.status = refusal.status
        self.headers: Sequence[tuple[str, str]] = refusal.headers
        self._body: bytes | None = refusal.body

    async def read(self) -> bytes | None:
        """Return the body, then its end."""
        body, self._body = self._body, None
        return body

    async def finish(self) -> None:
        """Hold nothing."""

    async def abort(self) -> None:
        """Hold nothing."""


def _headers(socket: Socket) -> Sequence[tuple[str, str]]:
    """Return what the handshake's reply said: all of it belongs to the first turn only."""
    headers = socket.connection.headers
    if socket.life.turns == 1:
        return headers
    return [pair for pair in headers if pair[0] in _OF_EVERY_TURN]
