"""What a socket needs from its connection, so that a test can give it one without a network."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from msgspec import Struct

from app.domain.account import Secret
from app.upstream.addresses import Pin
from app.upstream.sockets.key import Headers


class Listener(Protocol):
    """Is told what a connection receives, as it comes; must return at once and never raise."""

    def message(self, data: bytes) -> None:
        """A whole text message has come; `data` is UTF-8."""

    def pong(self) -> None:
        """A ping was answered."""

    def lost(self, code: int, reason: str) -> None:
        """The connection is over; 1006 if it broke off without a word. Said once, and last."""


class Connection(Protocol):
    """An open WebSocket."""

    @property
    def headers(self) -> Sequence[tuple[str, str]]:
        """The headers of the reply that opened it, names in lower case."""

    def listen(self, listener: Listener) -> None:
        """Hand on to `listener` from now on what has come and what comes."""

    async def send(self, data: bytes) -> None:
        """Send a text message; returns when the other side takes it in.

        Raises:
            ConnectionError: The connection is over.
        """

    def ping(self) -> None:
        """Send a ping."""

    def pause(self) -> None:
        """Read no more for now, so that the other side has to wait."""

    def resume(self) -> None:
        """Read again."""

    async def close(self) -> None:
        """End it properly, within a second or so."""

    def abort(self) -> None:
        """End it now."""


class Target(Struct, frozen=True):
    """What is dialled, which way, and how we introduce ourselves there."""

    url: str
    headers: Headers
    proxy_url: Secret | None
    pin: Pin | None = None
    """The one address to connect to, unless it is done by way of a proxy."""


class Rejected(Exception):
    """The handshake was answered with something else than a socket."""

    def __init__(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        super().__init__(str(status))
        self.status = status
        self.headers = headers
        self.body = body


class Unreachable(Exception):
    """No handshake took place; the message says why and holds no secret."""


Dial = Callable[[Target], Awaitable[Connection]]
"""Opens a connection. Raises `Rejected` or `Unreachable`; cancelling closes what was opened."""
