"""One request and its reply: heads, framed bodies, and every way to break them.

All bytes of a reply go through here. That is where they are counted and hashed (the body before
its framing), where `cut_at_byte` and `cut_at_wire_byte` bite, and where a chunk gets a wrong size
if a test wants it. A cut raises `Cut`; the router answers it with `break_off`.
"""

import asyncio
import hashlib
import os
import socket
import struct
from typing import TYPE_CHECKING, Any

from loadtests.simulator.config import Knobs
from loadtests.simulator.errors import Refusal
from loadtests.simulator.gauges import Gauges
from loadtests.simulator.knobs import build
from loadtests.simulator.ledger import Record

if TYPE_CHECKING:
    from loadtests.simulator.http import Connection, Request

NO_KNOBS = build({})
DECLARED_BUT_NOT_SENT = 64
_REASONS = {
    101: "Switching Protocols", 200: "OK", 204: "No Content", 302: "Found", 304: "Not Modified",
    307: "Temporary Redirect", 400: "Bad Request", 401: "Unauthorized", 402: "Payment Required",
    403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 413: "Payload Too Large",
    426: "Upgrade Required", 429: "Too Many Requests", 500: "Internal Server Error",
    502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout", 529: "Overloaded",
}  # fmt: skip
_SURPLUS = {
    "garbage": b"\x00\xff surplus bytes that belong to no response\r\n",
    "response": b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 6\r\n\r\nforged",
}


class Cut(Exception):
    """The reply ends here, in the way the knobs say."""


class Exchange:
    """A request and the reply being written to it."""

    def __init__(self, connection: "Connection", request: "Request", gauges: Gauges) -> None:
        assert connection.transport is not None  # noqa: S101  (narrows the type)
        self.connection = connection
        self.request = request
        self.id = ""
        self.record = Record(id="", path=request.path)
        self.knobs: Knobs = NO_KNOBS
        self.over = False
        self.hanging = False
        self.must_close = request.headers.get("connection", "").lower() == "close"
        self.is_lost = False
        self.lost_at_ns: int | None = None
        self.status = 0
        self.body_bytes = 0
        self.wire_bytes = 0
        self.digest = hashlib.sha256()
        self.on_lost: Any = None
        self.on_resumed: Any = None
        self._gauges = gauges
        self._transport = connection.transport
        self._framing = ""
        self._chunks = 0
        self._body_left: int | None = None
        self._wire_left: int | None = None

    @property
    def blocked(self) -> bool:
        """Whether the send buffer is full."""
        return self.connection.blocked

    def govern(self, knobs: Knobs) -> None:
        """Take the knobs of this reply; must come before its head."""
        self.knobs = knobs
        self._body_left = knobs.cut_at_byte
        self._wire_left = knobs.cut_at_wire_byte

    async def begin(
        self, status: int, headers: list[tuple[str, str]], length: int | None = None
    ) -> None:
        """Write the head; with a `length` the body is that long, else it is chunked."""
        knobs = self.knobs
        self.status = status
        for _ in range(knobs.informational):
            self._write(b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\n\r\n")
        lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}"]
        lines += [f"{name}: {value}" for name, value in headers]
        lines += [f"{name}: {value}" for name, value in self._framing_headers(length)]
        lines += [f"{name}: {value}" for name, value in knobs.extra_headers]
        if knobs.header_bytes:
            lines.append("x-sim-filler: " + "f" * knobs.header_bytes)
        lines += [f"x-sim-filler-{number}: f" for number in range(knobs.header_count)]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
        if not knobs.head_bytes_per_s:
            self._write(head)
            return
        for at in range(len(head)):
            self._write(head[at : at + 1])
            await asyncio.sleep(1 / knobs.head_bytes_per_s)

    def body(self, data: bytes, *, counted: bool = True) -> None:
        """Write a piece of the body. Raises Cut at the byte that the knobs name."""
        if self._body_left is not None:
            data = data[: self._body_left]
            self._body_left -= len(data)
        if data:
            if counted:
                self.count(data)
            self._write(self._framed(data))
        if self._body_left == 0:
            raise Cut

    def count(self, data: bytes) -> None:
        """Add payload bytes to the ledger's hash and sum."""
        self.digest.update(data)
        self.body_bytes += len(data)

    def restart_count(self) -> None:
        """Begin a new hash and sum: the next message of a socket is a reply of its own."""
        self.digest = hashlib.sha256()
        self.body_bytes = 0

    def end(self) -> None:
        """Finish the body as its framing wants."""
        if self._framing in {"chunked", "length_and_chunked", "bad_chunk"}:
            self._write(b"0\r\n\r\n")
        if self._framing in {"close", "no_last_chunk", "short_length", "bad_chunk"}:
            self.must_close = True
        if self.knobs.surplus != "no":
            self._write(_SURPLUS[self.knobs.surplus])

    async def reply(self, refusal: Refusal) -> None:
        """A whole reply with a body of known length."""
        headers = [("content-type", refusal.content_type), ("x-sim-request-id", self.id)]
        await self.begin(refusal.status, [*headers, *refusal.headers], len(refusal.body))
        if refusal.body and self.request.method != "HEAD":
            self.body(refusal.body)
        self.end()

    async def flushed(self) -> None:
        """Wait until the kernel has taken what was written."""
        await asyncio.sleep(0)
        # The transport tells of a drained buffer only below its low-water mark, so ask.
        while self._transport.get_write_buffer_size() and not self.is_lost:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        await asyncio.sleep(0)

    async def break_off(self, mode: str) -> None:
        """End the reply in a way that is no proper end, after what was written has left."""
        await self.flushed()
        if mode == "hang":
            self.hanging = True
            await self.gone()
        elif mode == "eof":
            self.end()
        else:
            self.break_transport(self._transport, mode)

    async def gone(self) -> None:
        """Wait for the peer to hang up (the task is cancelled then)."""
        await asyncio.Event().wait()

    @staticmethod
    def break_transport(transport: asyncio.Transport, mode: str) -> None:
        """Close a connection by RST, by a bare FIN without TLS's notice, or properly."""
        known = transport.get_extra_info("socket")
        if mode == "rst" and known is not None:
            with socket.socket(fileno=os.dup(known.fileno())) as raw:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        elif mode == "tls" and known is not None:
            with socket.socket(fileno=os.dup(known.fileno())) as raw:
                raw.shutdown(socket.SHUT_WR)
            transport.abort()
        else:
            transport.close()

    def lost(self, at_ns: int) -> None:
        """The connection is gone."""
        self.is_lost = True
        self.lost_at_ns = at_ns
        if self.on_lost is not None:
            self.on_lost()

    def resumed(self) -> None:
        """The send buffer has room again."""
        if self.on_resumed is not None:
            self.on_resumed()

    def _framing_headers(self, length: int | None) -> list[tuple[str, str]]:
        if self.knobs.connection_close:
            self.must_close = True
        closing = [("connection", "close")] if self.must_close else []
        usual = "chunked" if length is None else "length"
        self._framing = usual if self.knobs.framing == "auto" else self.knobs.framing
        match self._framing:
            case "length":
                return [("content-length", str(length)), *closing]
            case "close":
                return [("connection", "close")]
            case "short_length":
                declared = (length if length is not None else 1 << 20) + DECLARED_BUT_NOT_SENT
                return [("content-length", str(declared)), *closing]
            case "length_and_chunked":
                return [("content-length", "5"), ("transfer-encoding", "chunked"), *closing]
            case _:
                return [("transfer-encoding", "chunked"), *closing]

    def _framed(self, data: bytes) -> bytes:
        if self._framing in {"length", "close", "short_length"}:
            return data
        self._chunks += 1
        if self._framing == "bad_chunk" and self._chunks == 2:
            return b"zz;bad\r\n%b\r\n" % data
        return b"%x\r\n%b\r\n" % (len(data), data)

    def _write(self, data: bytes) -> None:
        if self._wire_left is not None:
            data = data[: self._wire_left]
            self._wire_left -= len(data)
        self.wire_bytes += len(data)
        self._gauges.bytes_out += len(data)
        if data and not self.is_lost:
            self._transport.write(data)
        if self._wire_left == 0:
            raise Cut
