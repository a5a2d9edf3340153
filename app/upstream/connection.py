"""One HTTP/1.1 connection to an upstream: one request at a time, its reply piece by piece.

It lives in the event loop's own thread, so an event is handed over once on its way to a caller. An
event that comes alone is handed out alone and at once; those that have come meanwhile, together.

Rule 1: bytes that belong to no request end the connection; no request ever sees another's.
Rule 2: what was received before a connection broke comes out before the failure does.
Rule 3: who lets go of a reply before its end closes the connection, at once.
Rule 4: more than `READ_BYTES_MAX` are not held: the upstream waits for a slow reader.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, cast

import httptools

from app.ports import UpstreamFailure
from app.upstream.tls import Tls

READ_BYTES_MAX: Final = 65_536
"""From here on nothing more is read until this has been taken; the loop's last read comes atop."""
WRITE_BYTES: Final = 262_144
"""A longer body is handed over in pieces, as the upstream takes them."""
HEAD_BYTES_MAX: Final = 131_072
FIELDS_MAX: Final = 512
INTERIM: Final = 200
"""Statuses below are no answer yet."""

Headers = Sequence[tuple[str, str]]


class Connection(asyncio.Protocol):
    """A connection; `request` may be called while it is `free`."""

    __slots__ = (
        "_complete",
        "_drained",
        "_failure",
        "_fields",
        "_head_bytes",
        "_headed",
        "_headers",
        "_held",
        "_keep",
        "_loop",
        "_lost",
        "_parser",
        "_paused",
        "_pieces",
        "_sent",
        "_sized",
        "_tls",
        "_told",
        "_transport",
        "_waiter",
        "closed",
        "free",
        "status",
    )

    def __init__(self, tls: Tls | None, lost: Callable[["Connection"], None]) -> None:
        """Take what is told when a free connection has ended."""
        self._loop = asyncio.get_running_loop()
        self._tls = tls
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._told: Callable[[], None] | None = None
        self._pieces: list[bytes] = []
        self._held = 0
        self._paused = False
        self._failure: str | None = None
        self._sent = False
        self._headers: list[tuple[str, str]] = []
        self._head_bytes = 0
        self._fields = 0
        self._headed = self._complete = self._keep = self._sized = False
        self.status = 0
        self.free = False
        """No request is under way, and the next may be."""
        self.closed = False

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin TLS, or be ready at once."""
        self._transport = stream = cast("asyncio.Transport", transport)
        self._parser = httptools.HttpResponseParser(self)
        if self._tls is not None:
            self._tls.begin()
            stream.write(self._tls.owed())

    def data_received(self, data: bytes) -> None:
        """Take in what the upstream sends."""
        if self._transport is None:
            return
        tls = self._tls
        if tls is None:
            self._parse(data)
        else:
            plain = tls.receive(data)
            if owed := tls.owed():
                self._transport.write(owed)
            if plain:
                self._parse(plain)
            if tls.over:
                self._end(str(tls.broken) if tls.broken else None)
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take in that the connection is over."""
        cut = self._tls is not None and not self._tls.over
        reason = _said(exc) if exc is not None else "closed without a farewell" if cut else None
        self._end(reason)
        self._let_go()
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def pause_writing(self) -> None:
        """Write no more for now."""
        self._drained = self._loop.create_future()

    def resume_writing(self) -> None:
        """Go on writing."""
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None

    def _parse(self, data: bytes) -> None:
        if self.free or self._parser is None or self._transport is None:
            self.abort()
            return
        if not self._headed:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            # After the reply's end these are surplus bytes, which are not the reader's business.
            if not self._complete:
                self._break(_said(error))
            self._keep = False
        if self._held > READ_BYTES_MAX and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    # What the parser calls.

    def on_message_begin(self) -> None:
        """Notice a reply that nobody has asked for."""
        if self._complete:
            self._keep = False
            raise ValueError("surplus")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a field of the head; those of the trailer mean nothing to anybody."""
        self._fields += 1
        if self._fields > FIELDS_MAX or self._head_bytes > HEAD_BYTES_MAX:
            raise ValueError("too large")
        if self._headed:
            return
        known = str(name, "latin-1").lower()
        if known in ("content-length", "transfer-encoding"):
            self._sized = True
        if value.isascii():
            self._headers.append((known, str(value, "ascii")))

    def on_headers_complete(self) -> None:
        """Know what the reply is."""
        parser = self._parser
        if parser is None or self._complete:
            return
        status = parser.get_status_code()
        if status < INTERIM:
            self._headers.clear()
            self._sized = False
            return
        self.status = status
        self._headed = True
        self._keep = parser.should_keep_alive()

    def on_body(self, data: bytes) -> None:
        """Keep a piece of the body until it is read."""
        if not self._complete:
            self._pieces.append(data)
            self._held += len(data)

    def on_message_complete(self) -> None:
        """Note the proper end of the reply."""
        if self._headed:
            self._complete = True

    # What the client calls.

    async def secured(self) -> None:
        """Return once requests may be sent.

        Raises:
            UpstreamFailure: The other side is not who it should be, or is gone.
        """
        while self._tls is not None and not self._tls.ready:
            if self._failure is not None:
                raise UpstreamFailure(self._failure, sent=False, route=True)
            await self._wait()
        self.free = True

    async def request(self, head: bytes, body: bytes) -> Headers:
        """Send a request; return the head's fields as soon as it has come. `status` has the rest.

        Raises:
            UpstreamFailure: No reply began.
        """
        self.free = False
        self._headed = self._complete = self._keep = self._sized = False
        self._head_bytes = self._fields = 0
        self._headers = []
        self._sent = True
        try:
            if len(body) <= WRITE_BYTES:
                self._write(head + body)
            else:
                await self._upload(head, body)
            while not self._headed:
                self._check()
                await self._wait()
        except BaseException:
            self.abort()
            raise
        headers, self._headers = self._headers, []
        return headers

    async def read(self) -> bytes | None:
        """Return what has come of the body, or None at its proper end.

        Raises:
            UpstreamFailure: The body broke off or broke the protocol.
        """
        while not self._pieces:
            if self._complete:
                return None
            self._check()
            await self._wait()
        return self._taken()

    def listen(self, told: Callable[[], None] | None) -> None:
        """Call `told` when something has come, instead of whoever waits in `read`."""
        self._told = told

    def take(self) -> bytes | None:
        """Return what has come, empty if nothing has; None if the body is over."""
        if self._pieces:
            return self._taken()
        return None if self._complete or self._failure is not None else b""

    def _taken(self) -> bytes:
        pieces = self._pieces
        piece = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._held = 0
        if self._paused:
            self._paused = False
            if self._transport is not None:
                self._transport.resume_reading()
        return piece

    @property
    def whole(self) -> bool:
        """True once the reply's body has come to its proper end."""
        return self._complete

    def release(self) -> bool:
        """Be free for the next request, if the last reply ended well; else close."""
        if not (self._complete and self._keep) or self.closed:
            self.abort()
            return False
        self._pieces.clear()
        self._held = 0
        self.free = True
        return True

    def abort(self) -> None:
        """Close now."""
        transport = self._transport
        self._failure = self._failure or "closed"
        self._let_go()
        if transport is not None:
            transport.abort()

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(self._tls.send(data) if self._tls is not None else data)

    async def _upload(self, head: bytes, body: bytes) -> None:
        """Send a long body as fast as it is taken; an early answer ends that."""
        self._write(head)
        view = memoryview(body)
        for start in range(0, len(body), WRITE_BYTES):
            if self._drained is not None:
                await self._drained
            if self._headed or self._failure is not None:
                self._keep = False
                return
            self._write(bytes(view[start : start + WRITE_BYTES]))

    def _check(self) -> None:
        if self._failure is not None:
            raise UpstreamFailure(self._failure, sent=True)

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._told is not None:
            self._told()
            return
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _break(self, reason: str) -> None:
        """End the reply badly."""
        if self._failure is None:
            self._failure = reason
        self._keep = False
        self._wake()

    def _end(self, reason: str | None) -> None:
        """Take in that nothing more will come; no reason: the other side said so."""
        self._keep = False
        if self._headed and not self._sized and reason is None:
            self._complete = True
        self._break(reason or "the connection closed")
        if self.free:
            self.abort()

    def _let_go(self) -> None:
        was_free = self.free
        self.closed, self.free = True, False
        self._transport = self._parser = None
        self._wake()
        if was_free:
            self._lost(self)


def _said(error: Exception) -> str:
    """Return what went wrong; never the request."""
    return str(error) or type(error).__name__
