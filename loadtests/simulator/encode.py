"""Events to bytes: SSE framing in all its legal spellings, cuts, and content encodings.

`Framer` turns one event into the bytes of the stream; `cuts` decides where the network tears
them. A plain stream takes one concatenation per event; every other spelling is the slow path.
"""

import random
import zlib
from collections.abc import Callable
from itertools import pairwise

import zstandard

from loadtests.simulator.config import Knobs

_EOLS = {"LF": b"\n", "CRLF": b"\r\n", "CR": b"\r"}
_ENDS = (b"completed", b"done", b"incomplete", b"failed")
_TERMINALS = {b"response." + end for end in _ENDS}
RANDOM_PIECE_MAX = 40


class Framer:
    """Spells the events of one stream as the knobs want."""

    def __init__(self, knobs: Knobs) -> None:
        self._knobs = knobs
        self._eol = _EOLS[knobs.eol]
        self._number = 0
        self._first = knobs.byte_order_mark
        self.plain = not (
            knobs.eol != "LF"
            or knobs.multi_line_data
            or knobs.id_retry_fields
            or knobs.byte_order_mark
            or not knobs.event_line
            or not knobs.final_blank_line
        )

    def frame(self, name: bytes, payload: bytes) -> bytes:
        """One event; an empty name leaves the event line out."""
        if self.plain:
            if name:
                return b"event: %b\ndata: %b\n\n" % (name, payload)
            return b"data: %b\n\n" % payload
        return self._spelled(name, payload)

    def comment(self) -> bytes:
        """A keep-alive comment."""
        return b": keep-alive" + self._eol + self._eol

    def _spelled(self, name: bytes, payload: bytes) -> bytes:
        eol = self._eol
        lines = []
        if self._knobs.id_retry_fields:
            lines += [b"id: %d" % self._number, b"retry: 3000", b"x-unknown: 1", b"lonely"]
            self._number += 1
        if name and self._knobs.event_line:
            lines.append(b"event:" + name if self._number % 2 else b"event: " + name)
        parts = _json_lines(payload) if self._knobs.multi_line_data else [payload]
        lines += [b"data: " + part for part in parts]
        mark = b"\xef\xbb\xbf" if self._first else b""
        self._first = False
        last = name in _TERMINALS and not self._knobs.final_blank_line
        return mark + eol.join(lines) + (eol if last else eol + eol)


def _json_lines(payload: bytes) -> list[bytes]:
    """The payload in two lines, broken where JSON allows white space."""
    if payload.startswith(b'{"type":"') and (at := payload.find(b",")) > 0:
        return [payload[: at + 1], payload[at + 1 :]]
    return [payload]


def cuts(data: bytes, mode: str, chance: random.Random) -> list[bytes]:
    """The pieces in which the data travels, each in a write of its own."""
    return _CUTTERS[mode](data, chance)


def _bytewise(data: bytes, _: random.Random) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def _randomly(data: bytes, chance: random.Random) -> list[bytes]:
    pieces = []
    at = 0
    while at < len(data):
        size = chance.randint(1, RANDOM_PIECE_MAX)
        pieces.append(data[at : at + size])
        at += size
    return pieces


def _inside_utf8(data: bytes, _: random.Random) -> list[bytes]:
    return _split_at(data, [at for at in range(1, len(data)) if data[at] & 0xC0 == 0x80])


def _between_eol(data: bytes, _: random.Random) -> list[bytes]:
    places = [at for at in range(1, len(data)) if data[at - 1] in b"\r\n"]
    return _split_at(data, places)


def _after_field(data: bytes, _: random.Random) -> list[bytes]:
    places = []
    for field in (b"data:", b"event:", b"id:"):
        at = data.find(field)
        while at >= 0:
            places += [at + len(field) - 1, at + len(field), at + len(field) + 1]
            at = data.find(field, at + 1)
    return _split_at(data, sorted(set(places)))


def _linewise(data: bytes, _: random.Random) -> list[bytes]:
    return data.splitlines(keepends=True)


def _split_at(data: bytes, places: list[int]) -> list[bytes]:
    bounds = [0, *places, len(data)]
    pieces = [data[a:b] for a, b in pairwise(bounds)]
    return [piece for piece in pieces if piece]


_CUTTERS: dict[str, Callable[[bytes, random.Random], list[bytes]]] = {
    "natural": lambda data, _: [data],
    "byte": _bytewise,
    "random": _randomly,
    "utf8": _inside_utf8,
    "crlf": _between_eol,
    "field": _after_field,
    "line": _linewise,
}


class Compressor:
    """A streaming content encoding that can be flushed after each event."""

    def __init__(self, encoding: str) -> None:
        if encoding == "zstd":
            zstd = zstandard.ZstdCompressor(level=3).compressobj()
            self._compress: Callable[[bytes], bytes] = zstd.compress
            self._flush: Callable[[], bytes] = lambda: zstd.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
            self._finish: Callable[[], bytes] = zstd.flush
        else:
            plain = zlib.compressobj(6, zlib.DEFLATED, 31 if encoding == "gzip" else 15)
            self._compress = plain.compress
            self._flush = lambda: plain.flush(zlib.Z_SYNC_FLUSH)
            self._finish = plain.flush

    def __call__(self, data: bytes) -> bytes:
        """The data, compressed and flushed, so that it can be read at once."""
        return self._compress(data) + self._flush()

    def finish(self) -> bytes:
        """What ends the compressed stream."""
        return self._finish()


def decoded(body: bytes, encoding: str) -> bytes:
    """A request body without its content encodings.

    Raises:
        ValueError: the encoding is unknown or the body is damaged.
    """
    for name in reversed([part.strip() for part in encoding.lower().split(",")]):
        try:
            body = _decode_one(body, name)
        except (zlib.error, zstandard.ZstdError) as error:
            raise ValueError(f"body is not valid {name}: {error}") from error
    return body


def _decode_one(body: bytes, name: str) -> bytes:
    match name:
        case "" | "identity":
            return body
        case "gzip" | "x-gzip":
            return zlib.decompress(body, 31)
        case "deflate":
            return zlib.decompress(body, 47)
        case "zstd":
            return zstandard.ZstdDecompressor().decompressobj().decompress(body)
        case _:
            raise ValueError(f"unknown content-encoding {name!r}")
