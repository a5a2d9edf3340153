"""One socket and the turn that is on it.

The connection's own callback is the one reader: it hands each message to the turn in flight, and to
no other. A turn keeps what has come and was not read yet, so a message that comes late has nowhere
to go but away. A turn that is read slowly keeps its connection from reading on: that is the whole
of back-pressure.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Final

from msgspec import Struct

from app.dialects.responses.events import classify
from app.ports import Clock, UpstreamFailure
from app.upstream.sockets.connection import Connection
from app.upstream.sockets.key import Key
from app.upstream.sockets.life import Life, Look, Phase, Reason, Whose

UNREAD_BYTES_MAX: Final = 256 << 10
"""Unread messages of a turn beyond which its connection reads no more."""


class Traffic(Struct):
    """What went over all sockets of a worker."""

    messages_sent: int = 0
    messages_received: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0


class Turn:
    """The messages of one response. Read by one task."""

    __slots__ = ("_connection", "_unread", "_unread_bytes", "_waiter", "failure", "paused")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._unread: deque[bytes] = deque()
        self._unread_bytes = 0
        self._waiter: asyncio.Future[None] | None = None
        self.failure: tuple[int, str] | None = None
        """How the connection ended, once it has: close code and reason."""
        self.paused = False

    @property
    def drained(self) -> bool:
        """True if all that has come was read."""
        return not self._unread

    def put(self, data: bytes) -> None:
        """Take in a message."""
        self._unread.append(data)
        self._unread_bytes += len(data)
        if self._unread_bytes > UNREAD_BYTES_MAX and not self.paused:
            self.paused = True
            self._connection.pause()
        self._wake()

    def fail(self, code: int, reason: str) -> None:
        """Note that nothing more comes; what has come can still be read."""
        if self.failure is None:
            self.failure = (code, reason)
            self._wake()

    async def read(self) -> bytes:
        """Return the next message.

        Raises:
            UpstreamFailure: There is none and none will come.
        """
        unread = self._unread
        while not unread:
            if self.failure is not None:
                code, reason = self.failure
                raise UpstreamFailure(f"socket closed ({code}{reason and ' ' + reason})", sent=True)
            waiter = self._waiter = asyncio.get_running_loop().create_future()
            try:
                await waiter
            finally:
                self._waiter = None
        data = unread.popleft()
        self._unread_bytes -= len(data)
        if self.paused and not unread:
            self.paused = False
            self._connection.resume()
        return data

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


class Socket:
    """A connection, what may happen to it, and who is on it. Belongs to the pool that made it."""

    __slots__ = ("_clock", "_closed", "_traffic", "_turn", "connection", "key", "life")

    def __init__(
        self,
        key: Key,
        connection: Connection,
        *,
        clock: Clock,
        rng: Random,
        traffic: Traffic,
        closed: Callable[["Socket", Reason, bool], None],
    ) -> None:
        """Take a connection over; `closed` is told why it ends, and whether at once."""
        self.key = key
        self.connection = connection
        self.life = Life(now=clock.monotonic(), rng=rng)
        self._clock = clock
        self._traffic = traffic
        self._closed = closed
        self._turn: Turn | None = None
        connection.listen(self)

    async def ask(self, message: bytes, *, hold: bool = False) -> Turn:
        """Send a request and return the turn that its response will fill.

        With `hold` the response is one that a later request may continue.

        Raises:
            ConnectionError: The connection is over.
        """
        self.life.ask(hold=hold)
        turn = self._turn = Turn(self.connection)
        self._traffic.messages_sent += 1
        self._traffic.bytes_sent += len(message)
        await self.connection.send(message)
        return turn

    def release(self) -> bool:
        """Let go of the turn, whose terminal event was read; True if another may follow."""
        turn, self._turn = self._turn, None
        whole = turn is not None and turn.drained and turn.failure is None
        if self.life.consumed(self._clock.monotonic()) and whole:
            return True
        self.close(Reason.STRAY)
        return False

    def close(self, reason: Reason, *, now: bool = True) -> None:
        """End it: at once, or properly. A second time nothing happens."""
        if self.life.phase is Phase.CLOSED:
            return
        reason = self.life.close(reason)
        if self._turn is not None:
            self._turn.fail(1006, reason.value)
        self._closed(self, reason, now)

    def look(self) -> None:
        """Do what is to be done about it now: ping it, or close it."""
        turn = self._turn
        found = self.life.look(self._clock.monotonic(), listening=turn is None or not turn.paused)
        if found is Look.PING:
            self.connection.ping()
        elif isinstance(found, Reason):
            self.close(found, now=found is Reason.SILENT)

    def message(self, data: bytes) -> None:
        """Hand a message to whom it is for. Called by the connection."""
        self._traffic.messages_received += 1
        self._traffic.bytes_received += len(data)
        whose = self.life.hear(classify(data), data, self._clock.monotonic())
        if whose is Whose.TURN and self._turn is not None:
            self._turn.put(data)
        elif whose is not Whose.NOBODY:
            self.close(Reason.STRAY)

    def pong(self) -> None:
        """Note a sign of life. Called by the connection."""
        self.life.pong(self._clock.monotonic())

    def lost(self, code: int, reason: str) -> None:
        """Note the end of the connection. Called by the connection."""
        if self._turn is not None:
            self._turn.fail(code, reason)
        self.close(Reason.LOST)
