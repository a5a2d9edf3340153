"""One HTTP/1.1 reply at a time, from the bytes of a connection to the bytes of its body.

The loader counts what arrives, so this has one fast path: a read that is exactly one chunk. A
chunk that is torn waits for its rest. It trusts its peer and knows no trailers. `FrameReader` does
the same for a WebSocket: from its bytes to those of its messages.
"""

import re
from typing import Final

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED: Final = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
TEXT: Final = 1
CLOSE: Final = 8


class ReplyReader:
    """Reads one reply; make a new one for the next."""

    __slots__ = ("_buffer", "_chunked", "_left", "ended", "status")

    def __init__(self) -> None:
        self._buffer = b""
        self._chunked = False
        self._left = 0
        self.status = 0
        self.ended = False
        """The body is complete, by its framing."""

    def feed(self, data: bytes) -> bytes:
        """Take what was read; return what it adds to the body."""
        if not self.status:
            data = self._head(self._buffer + data)
            if not self.status:
                return b""
        if self._chunked:
            return self._chunks(data)
        self._left -= len(data)
        self.ended = self._left <= 0
        return data

    def _head(self, data: bytes) -> bytes:
        end = data.find(b"\r\n\r\n")
        if end < 0:
            self._buffer = data
            return b""
        self._buffer = b""
        self.status = int(data[9:12])
        head = data[: end + 2]
        self._chunked = _CHUNKED.search(head) is not None
        length = _LENGTH.search(head)
        self._left = int(length[1]) if length else 0
        return data[end + 4 :]

    def _chunks(self, data: bytes) -> bytes:
        if not self._buffer:
            end = data.find(b"\r\n")
            # The common read: one chunk, all of it.
            if end > 0 and len(data) == (size := int(data[:end], 16)) + end + 4 and size:
                return data[end + 2 : -2]
        data = self._buffer + data
        pieces = []
        at = 0
        while (end := data.find(b"\r\n", at)) >= 0:
            size = int(data[at:end], 16)
            if len(data) < end + size + 4:
                break
            if not size:
                self.ended = True
                break
            pieces.append(data[end + 2 : end + 2 + size])
            at = end + size + 4
        self._buffer = data[at:]
        return b"".join(pieces)


class FrameReader:
    """Reads what a server sends on a WebSocket: unmasked frames, none of them in fragments."""

    __slots__ = ("_buffer", "closed")

    def __init__(self) -> None:
        self._buffer = b""
        self.closed = False
        """The server has said that it closes."""

    def feed(self, data: bytes) -> bytes:
        """Take what was read; return the messages that it completes, a line each."""
        if self._buffer:
            data = self._buffer + data
        pieces = []
        at, end = 0, len(data)
        while end - at >= 2:
            size, start = data[at + 1] & 0x7F, at + 2
            if size >= 126:
                start += 2 if size == 126 else 8
                size = int.from_bytes(data[at + 2 : start], "big")
            if end < start + size:
                break
            opcode = data[at] & 0x0F
            if opcode == TEXT:
                pieces.append(data[start : start + size])
            elif opcode == CLOSE:
                self.closed = True
            at = start + size
        self._buffer = data[at:]
        return b"\n".join(pieces)


def text_frame(payload: bytes) -> bytes:
    """Return a client's frame with one message; the mask is zero, which changes nothing."""
    size = len(payload)
    if size < 126:
        head = bytes((0x80 | TEXT, 0x80 | size))
    elif size < 1 << 16:
        head = bytes((0x80 | TEXT, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x80 | TEXT, 0x80 | 127)) + size.to_bytes(8, "big")
    return head + bytes(4) + payload
