"""How records lie in a segment of the journal. Pure: bytes in, records out.

A segment begins with a head (magic and version) and goes on with frames: length and checksum, four
bytes each, then one record. A length of zero is where writing has come to, since a segment is
filled with zeros before it is used. A frame whose checksum is wrong ends the segment: whatever
tore it may have torn what follows.
"""

import struct
from collections.abc import Sequence
from typing import Final
from zlib import crc32

import msgspec
from msgspec import Struct

from app.domain.ledger import Record

HEAD: Final = b"c2aj\x00\x01\x00\x00"
"""Magic, version and room for more."""
RECORD_BYTES_MAX: Final = 65_536
"""Real ones are some 300 bytes; a longer length is no length but damage."""

_FRAME: Final = struct.Struct("<II")
_encode: Final = msgspec.msgpack.Encoder().encode
_decoder: Final = msgspec.msgpack.Decoder(Record)


class Poison(Struct, frozen=True):
    """A whole frame that holds no record which this version knows."""

    raw: bytes
    reason: str


class Chunk(Struct, frozen=True):
    """What stood in a piece of a segment; `offset` is where to go on reading.

    `torn` says why nothing behind `offset` can be read, and is empty where writing just goes on.
    """

    records: Sequence[Record]
    poison: Sequence[Poison]
    offset: int
    torn: str = ""


def encode(record: Record) -> bytes:
    """Return the frame of one record."""
    data = _encode(record)
    return _FRAME.pack(len(data), crc32(data)) + data


def flaw(head: bytes) -> str:
    """Return what is wrong with the first bytes of a segment, or nothing."""
    if head[: len(HEAD)] == HEAD:
        return ""
    return "empty" if not head.strip(b"\x00") else "not a segment of this version"


def decode(data: bytes, *, offset: int, records_max: int) -> Chunk:
    """Return up to `records_max` records of a segment, from `offset` on (at least the head)."""
    records: list[Record] = []
    poison: list[Poison] = []
    end, torn = len(data), ""
    while len(records) + len(poison) < records_max and offset + _FRAME.size <= end:
        length, checksum = _FRAME.unpack_from(data, offset)
        if not length:
            break
        body_at = offset + _FRAME.size
        body = data[body_at : body_at + length]
        if length > RECORD_BYTES_MAX or len(body) < length:
            torn = f"a record of {length} bytes at {offset}"
        elif crc32(body) != checksum:
            torn = f"a wrong checksum at {offset}"
        if torn:
            break
        offset = body_at + length
        try:
            records.append(_decoder.decode(body))
        except msgspec.DecodeError as error:
            poison.append(Poison(body, str(error)))
    return Chunk(records, poison, offset, torn)
