"""The loader's reader of replies, against bodies that are torn in every way."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Opcode

from loadtests.bench.framing import FrameReader, ReplyReader, text_frame
from loadtests.simulator.ws_socket import frame

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunked(pieces: list[bytes]) -> bytes:
    """Return the pieces as a chunked body."""
    return b"".join(b"%X\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=8), st.data())
def test_a_chunked_body_is_the_same_however_it_is_torn(pieces, data):
    """No byte is lost or added wherever reads begin and end."""
    wire = HEAD + chunked(pieces)
    places = sorted(data.draw(st.sets(st.integers(1, len(wire) - 1), max_size=10)))
    reader = ReplyReader()
    bounds = [0, *places, len(wire)]
    reads = [wire[a:b] for a, b in pairwise(bounds)]
    assert b"".join(reader.feed(read) for read in reads) == b"".join(pieces)
    assert reader.ended
    assert reader.status == 200


def test_a_body_of_known_length_ends_with_its_last_byte():
    """A JSON answer is over as soon as all of it is there."""
    reader = ReplyReader()
    assert reader.feed(b"HTTP/1.1 503 No\r\ncontent-length: 4\r\n\r\nab") == b"ab"
    assert not reader.ended
    assert reader.feed(b"cd") == b"cd"
    assert reader.ended
    assert reader.status == 503


def test_an_empty_body_ends_with_its_head():
    """A reply without a body is over at once."""
    reader = ReplyReader()
    assert reader.feed(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n") == b""
    assert reader.ended


@given(st.lists(st.binary(min_size=1, max_size=70_000), max_size=4), st.data())
def test_messages_are_the_same_however_their_bytes_are_torn(messages, data):
    """Of every length of a frame; a close ends them."""
    wire = b"".join(frame(message, Opcode.TEXT) for message in messages)
    wire += frame(b"\x03\xe8", Opcode.CLOSE)
    places = sorted(data.draw(st.sets(st.integers(1, len(wire) - 1), max_size=10)))
    reader = FrameReader()
    found = [reader.feed(wire[a:b]) for a, b in pairwise([0, *places, len(wire)])]
    assert b"".join(found).replace(b"\n", b"") == b"".join(messages).replace(b"\n", b"")
    assert reader.closed


@given(st.binary(max_size=70_000))
def test_a_message_of_ours_is_a_masked_frame(payload):
    """As a client must send it; the mask is zero, so it changes nothing."""
    found = text_frame(payload)
    assert found[0] == 0x81
    assert found[1] & 0x80
    assert found.endswith(bytes(4) + payload)
