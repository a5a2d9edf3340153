"""The server's side of ASGI, held by a test: what it sends in, what comes back."""

import asyncio
from collections.abc import Iterable
from typing import Any

from app.domain.account import Account
from app.domain.call import Call, Dialect
from app.domain.caller import Caller, KeyId
from app.domain.outcome import Outcome

CALLER = Caller(KeyId("key-1"), "tests")
KEY = "sk-tests-0001"


def scope(
    *headers: tuple[str, str],
    method: str = "POST",
    path: str = "/v1/responses",
    version: str = "1.1",
    query: bytes = b"",
    host: bool = True,
) -> Any:
    """Return the scope of a request; it has a Host unless told otherwise."""
    spelled = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    return {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "http_version": version,
        "headers": ([(b"host", b"gateway")] if host else []) + spelled,
    }


def with_key(*headers: tuple[str, str], **more: Any) -> Any:
    """Return the scope of a request with a good key."""
    return scope(("authorization", f"Bearer {KEY}"), *headers, **more)


class Server:
    """One connection's `receive` and `send`."""

    def __init__(self, *pieces: bytes, stuck_after: int | None = None) -> None:
        """Send `pieces` as the body; stop taking messages in after `stuck_after` of them."""
        self._incoming: asyncio.Queue[Any] = asyncio.Queue()
        for number, piece in enumerate(pieces, start=1):
            self.bring(piece, more=number < len(pieces))
        self._stuck_after = stuck_after
        self.sent: list[Any] = []
        self._took = asyncio.Event()

    def bring(self, piece: bytes, *, more: bool) -> None:
        """Let a piece of the body arrive."""
        self._incoming.put_nowait({"type": "http.request", "body": piece, "more_body": more})

    def leave(self) -> None:
        """Close the caller's side."""
        self._incoming.put_nowait({"type": "http.disconnect"})

    def receive(self) -> Any:
        """Return the next message in, as an awaitable that can be watched: so does Granian."""
        return asyncio.ensure_future(self._incoming.get())

    async def send(self, message: Any) -> None:
        """Take the next message out, unless the caller does not read."""
        if self._stuck_after is not None and len(self.sent) >= self._stuck_after:
            await asyncio.get_running_loop().create_future()
        self.sent.append(message)
        self._took.set()

    async def until(self, count: int) -> None:
        """Return once so many messages are out."""
        while len(self.sent) < count:
            self._took.clear()
            await self._took.wait()

    @property
    def status(self) -> int:
        """The answer's status."""
        return self.sent[0]["status"]

    @property
    def headers(self) -> dict[str, str]:
        """The answer's headers."""
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def body(self) -> bytes:
        """What has been sent of the answer's body."""
        return b"".join(message["body"] for message in self.sent[1:])

    @property
    def ended(self) -> bool:
        """True once the answer's last message has come; more than one is a failure."""
        ends = [not message["more_body"] for message in self.sent[1:]]
        assert sum(ends) <= 1
        assert not ends or ends[-1] == any(ends)
        return any(ends)


class Callers:
    """Satisfies `app.ports.Callers`; counts how often it is asked."""

    def __init__(self, known: Iterable[tuple[str, Caller]] = ((KEY, CALLER),)) -> None:
        self.known = dict(known)
        self.asked = 0

    def find(self, key: str) -> Caller | None:
        """Return the caller whose key this is."""
        self.asked += 1
        return self.known.get(key)

    @property
    def empty(self) -> bool:
        """True without keys."""
        return not self.known


class Book:
    """Satisfies `app.ports.CallObserver`; keeps what it is told."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, str]] = []
        self.streams = 0
        self.pieces = 0

    def attempt(self, call: Call, account: Account, outcome: Outcome) -> None:
        """Ignore attempts."""

    def stream_began(self, call: Call, first_event_s: float) -> None:
        """Count a stream in."""
        del call, first_event_s
        self.streams += 1

    def passed(self, asked: float, came: float, made: float) -> float:
        """Count a piece, and check that its moments are in order."""
        assert asked <= came <= made
        self.pieces += 1
        return made

    def stream_ended(self, call: Call) -> None:
        """Count a stream out."""
        del call
        self.streams -= 1

    def call(
        self, dialect: Dialect, call: Call | None, status: int, code: str, seconds: float
    ) -> None:
        """Keep a call's status and code."""
        del dialect, call, seconds
        self.calls.append((status, code))
