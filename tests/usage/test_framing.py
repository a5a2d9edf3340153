"""Tests of app.usage.framing."""

import struct
from zlib import crc32

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.usage.framing import HEAD, RECORD_BYTES_MAX, decode, encode, flaw
from tests.usage.records import answered, attempted, began

RECORDS = [began(), attempted(), answered(), attempted("u2", code="x" * 300)]
ROOM = bytes(64)


def frame(body: bytes, *, checksum: int | None = None) -> bytes:
    """Return a frame around any bytes."""
    return struct.pack("<II", len(body), crc32(body) if checksum is None else checksum) + body


def test_what_is_written_is_read():
    """Every kind of record, in order, up to where writing has come."""
    data = HEAD + b"".join(map(encode, RECORDS)) + ROOM
    chunk = decode(data, offset=len(HEAD), records_max=100)
    assert chunk.records == RECORDS
    assert (chunk.offset, chunk.torn, chunk.poison) == (len(data) - len(ROOM), "", [])


@given(st.integers(1, 5), st.integers(0, 4))
def test_reading_goes_on_where_it_stopped(step, extra):
    """However many records are read at a time, they are the same ones."""
    data = b"".join(encode(began(f"u{n}")) for n in range(7 + extra)) + ROOM
    found, offset = [], 0
    while (chunk := decode(data, offset=offset, records_max=step)).records:
        assert len(chunk.records) <= step
        found += chunk.records
        offset = chunk.offset
    assert [record.uid for record in found] == [f"u{n}" for n in range(7 + extra)]


@given(st.data())
def test_a_flipped_bit_never_makes_another_record(data):
    """Whatever byte is damaged, what is read is a beginning of what was written."""
    whole = b"".join(map(encode, RECORDS))
    at = data.draw(st.integers(0, len(whole) - 1))
    bit = data.draw(st.integers(0, 7))
    torn = bytearray(whole + ROOM)
    torn[at] ^= 1 << bit
    chunk = decode(bytes(torn), offset=0, records_max=100)
    assert chunk.records == RECORDS[: len(chunk.records)]
    assert len(chunk.records) < len(RECORDS)
    assert chunk.torn or torn[at : at + 4] == bytes(4) or chunk.offset <= at


@pytest.mark.parametrize("cut", range(1, 40))
def test_half_a_frame_is_not_read(cut):
    """A write that was cut by the end of the file tears the segment or has not been."""
    data = encode(began())
    chunk = decode(data[:cut], offset=0, records_max=10)
    assert chunk.records == []
    assert chunk.offset == 0
    assert bool(chunk.torn) == (cut >= 8)


def test_a_wrong_checksum_ends_the_segment():
    """What stands behind it may be torn as well."""
    body = msgspec.msgpack.encode(began())
    data = encode(began()) + frame(body, checksum=1) + encode(began()) + ROOM
    chunk = decode(data, offset=0, records_max=10)
    assert len(chunk.records) == 1
    assert chunk.torn == f"a wrong checksum at {len(encode(began()))}"


def test_a_length_that_no_record_has_is_damage():
    """It would otherwise be waited for for ever."""
    chunk = decode(
        struct.pack("<II", RECORD_BYTES_MAX + 1, 0) + bytes(99_999), offset=0, records_max=9
    )
    assert chunk.torn == "a record of 65537 bytes at 0"


def test_what_a_newer_version_wrote_is_poison_and_nothing_else_suffers():
    """The frame is whole, so reading goes on behind it."""
    strange = msgspec.msgpack.encode(["z", 1, 2])
    chunk = decode(frame(strange) + encode(began()) + ROOM, offset=0, records_max=10)
    assert [poison.raw for poison in chunk.poison] == [strange]
    assert chunk.poison[0].reason
    assert chunk.records == [began()]


def test_poison_counts_as_read():
    """A chunk is bounded whatever it holds."""
    data = frame(b"\xc0") * 5 + ROOM
    assert len(decode(data, offset=0, records_max=3).poison) == 3


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (HEAD, ""),
        (HEAD + b"more", ""),
        (b"", "empty"),
        (bytes(8), "empty"),
        (b"c2aj\x00\x02\x00\x00", "not a segment of this version"),
        (b"whatever", "not a segment of this version"),
    ],
)
def test_a_segment_is_known_by_its_head(head, said):
    """A file that was made but never written to is no damage."""
    assert flaw(head) == said
