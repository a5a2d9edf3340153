"""HTTP/1.1 over a raw protocol: requests in, replies out, legal or not.

`Connection` parses requests and runs the handler for one at a time; `Exchange` (in `exchange`)
writes the reply and can break it in every way a network can. Nothing here knows what is served.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Protocol, cast

from loadtests.simulator.exchange import Exchange
from loadtests.simulator.gauges import Gauges

HEAD_BYTES_MAX = 512 << 10
PIPELINED_BYTES_MAX = 4 << 20
BODY_BYTES_MAX = 256 << 20


class Upgraded(Protocol):
    """Who takes over a connection after an upgrade."""

    def feed(self, data: bytes) -> None:
        """Bytes from the peer; empty at its end of file."""

    def resumed(self) -> None:
        """The send buffer has drained."""

    def lost(self) -> None:
        """The connection is gone."""


Handler = Callable[[Exchange], Awaitable[None]]


class Request:
    """One request: its head at once, its body when awaited."""

    __slots__ = ("_body", "_done", "_on_wanted", "headers", "method", "path", "query", "raw")

    def __init__(self, raw: bytes) -> None:
        """Parse a head. Raises ValueError when it is none."""
        self.raw = raw
        first, *lines = raw[:-4].decode("latin-1").split("\r\n")
        self.method, target, version = first.split(" ")
        if not version.startswith("HTTP/1."):
            raise ValueError(f"unexpected version {version!r}")
        self.path, _, self.query = target.partition("?")
        self.headers: dict[str, str] = {}
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon:
                raise ValueError(f"header without a colon: {line!r}")
            self.headers[name.lower()] = value.strip()
        self._body = bytearray()
        self._done: asyncio.Future[None] | None = None
        self._on_wanted: Callable[[], None] | None = None

    def expect(self, on_wanted: Callable[[], None]) -> None:
        """Note that a body will come; `on_wanted` is called when somebody first waits for it."""
        self._done = asyncio.get_running_loop().create_future()
        self._on_wanted = on_wanted

    def arrived(self, data: bytes | bytearray) -> None:
        """Add a piece of the body."""
        self._body += data

    def complete(self) -> None:
        """The body is all here."""
        if self._done is not None and not self._done.done():
            self._done.set_result(None)

    async def body(self) -> bytes:
        """The whole body, as sent (content encodings untouched)."""
        if self._done is not None and not self._done.done():
            if self._on_wanted is not None:
                self._on_wanted()
            await self._done
        return bytes(self._body)


class _BodyReader:
    """Takes one request's body out of the connection's buffer."""

    def __init__(self, request: Request) -> None:
        headers = request.headers
        self._request = request
        self._chunked = "chunked" in headers.get("transfer-encoding", "").lower()
        self._left = 0 if self._chunked else int(headers.get("content-length") or 0)
        self._in_trailer = False
        self.total = 0
        self.done = not self._chunked and not self._left

    def take(self, buffer: bytearray) -> None:
        """Move what belongs to the body from the buffer to the request."""
        while buffer and not self.done:
            if self._chunked and not self._left:
                if not self._size_line(buffer):
                    return
                continue
            piece = buffer[: self._left]
            del buffer[: len(piece)]
            if self._chunked:  # the last two of a chunk's bytes are its line end
                self._request.arrived(piece[: max(0, self._left - 2)])
            else:
                self._request.arrived(piece)
            self._left -= len(piece)
            self.total += len(piece)
            self.done = not self._chunked and not self._left

    def _size_line(self, buffer: bytearray) -> bool:
        end = buffer.find(b"\r\n")
        if end < 0:
            return False
        line = bytes(buffer[:end]).partition(b";")[0].strip()
        del buffer[: end + 2]
        if self._in_trailer:
            self.done = not line
            return True
        size = int(line, 16)
        self._in_trailer = not size
        self._left = size + 2 if size else 0
        return True


class Connection(asyncio.Protocol):
    """One TCP connection; serves its requests one after the other."""

    def __init__(self, handler: Handler, gauges: Gauges, peers: set["Connection"]) -> None:
        self._handler = handler
        self._gauges = gauges
        self._peers = peers
        self._buffer = bytearray()
        self._request: Request | None = None
        self._reader: _BodyReader | None = None
        self._task: asyncio.Task[None] | None = None
        self.exchange: Exchange | None = None
        self.upgraded: Upgraded | None = None
        self.transport: asyncio.Transport | None = None
        self.blocked = False
        self.mute = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start with a new peer."""
        # uvloop's transports are no subclasses of asyncio's, only alike.
        self.transport = transport = cast("asyncio.Transport", transport)
        self._peers.add(self)
        self._gauges.opened()
        mode = self._gauges.accept
        if mode == "silent":
            self.mute = True
            transport.pause_reading()
        elif mode in {"reset", "close"}:
            Exchange.break_transport(transport, "rst" if mode == "reset" else "fin")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  (asyncio names it)
        """The peer is gone, or we hung up."""
        self._peers.discard(self)
        self._gauges.closed()
        if self.upgraded is not None:
            self.upgraded.lost()
        if self.exchange is not None:
            self.exchange.lost(time.monotonic_ns())
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        """Bytes from the peer."""
        self._gauges.bytes_in += len(data)
        if self.upgraded is not None:
            self.upgraded.feed(data)
            return
        if self.mute:
            return
        self._buffer += data
        self._advance()

    def pause_writing(self) -> None:
        """The send buffer is full."""
        self.blocked = True

    def resume_writing(self) -> None:
        """The send buffer has room again."""
        self.blocked = False
        if self.upgraded is not None:
            self.upgraded.resumed()
        elif self.exchange is not None:
            self.exchange.resumed()

    def close(self) -> None:
        """Hang up at once."""
        if self.transport is not None:
            self.transport.abort()

    def upgrade(self, taker: Upgraded) -> None:
        """Hand the connection over, with what has already arrived."""
        self.upgraded = taker
        if self._buffer:
            data = bytes(self._buffer)
            self._buffer.clear()
            taker.feed(data)

    def _advance(self) -> None:
        try:
            while self._buffer and not self.upgraded:
                if self._reader is not None:
                    self._read_body()
                    if self._reader is not None:
                        return
                elif self.exchange is not None or not self._read_head():
                    break
        except ValueError:
            self._refuse(b"400 Bad Request")
            return
        if len(self._buffer) > max(HEAD_BYTES_MAX, PIPELINED_BYTES_MAX):
            self._refuse(b"431 Request Header Fields Too Large")

    def _read_body(self) -> None:
        assert self._reader is not None  # noqa: S101  (narrows the type)
        assert self._request is not None  # noqa: S101  (narrows the type)
        self._reader.take(self._buffer)
        if self._reader.total > BODY_BYTES_MAX:
            raise ValueError("body too large")
        if self._reader.done:
            self._reader = None
            self._request.complete()
            self._finish_turn()

    def _read_head(self) -> bool:
        while self._buffer.startswith(b"\r\n"):
            del self._buffer[:2]
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        request = self._request = Request(bytes(self._buffer[: end + 4]))
        del self._buffer[: end + 4]
        reader = _BodyReader(request)
        if not reader.done:
            self._reader = reader
            request.expect(self._continue(request))
        exchange = self.exchange = Exchange(self, request, self._gauges)
        self._task = asyncio.get_running_loop().create_task(self._serve(exchange))
        return True

    def _continue(self, request: Request) -> Callable[[], None]:
        def on_wanted() -> None:
            expected = request.headers.get("expect", "").lower() == "100-continue"
            if expected and self._reader is not None and not self._reader.total and self.transport:
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

        return on_wanted

    async def _serve(self, exchange: Exchange) -> None:
        try:
            await self._handler(exchange)
        except asyncio.CancelledError:
            if not exchange.is_lost:
                raise
        finally:
            self._task = None
            exchange.over = True
            self._finish_turn()

    def _finish_turn(self) -> None:
        """Go on with the next request once the reply is over and the body is read."""
        exchange = self.exchange
        if exchange is None or not exchange.over or self._reader is not None:
            return
        if self.upgraded is not None or exchange.hanging:
            return
        self.exchange = None
        if exchange.must_close:
            if self.transport is not None:
                self.transport.close()
        elif self._buffer:
            asyncio.get_running_loop().call_soon(self._advance)

    def _refuse(self, status: bytes) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(
                b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            )
            self.transport.close()
        self._buffer.clear()
