"""The SSE decoder: any cut, any line end, the same events and the same bytes."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import UpstreamProtocolError
from app.wire.sse import SseDecoder, SseEvent, encode

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=12)
DATA = st.binary(max_size=40).map(lambda b: b.replace(b"\r", b"").replace(b"\n", b""))


def decode(pieces: list[bytes]) -> tuple[list[SseEvent], bytes]:
    """Feed the pieces; return all events and the bytes that were taken."""
    decoder = SseDecoder()
    events: list[SseEvent] = []
    taken = b""
    for piece in pieces:
        events += decoder.feed(piece)
        taken += decoder.taken
    last = decoder.finish()
    return ([*events, last] if last else events), taken


def plain(stream: bytes) -> list[tuple[str, bytes]]:
    """Decode a whole stream line by line, as the specification tells it: the oracle."""
    text = stream.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    found: list[tuple[str, bytes]] = []
    name, data = "", []
    for line in [*text.split(b"\n"), b""]:
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if not line:
            if data:
                found.append((name, b"\n".join(data)))
            name, data = "", []
        elif field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.decode("utf-8", "replace")
    return found


@given(events=st.lists(st.tuples(NAMES, DATA), max_size=6), cuts=st.data())
def test_the_cuts_do_not_matter(events, cuts):
    """However the network cuts a stream, the decoder yields the same events."""
    wire = b"".join(encode(name, payload) for name, payload in events)
    at = sorted(cuts.draw(st.lists(st.integers(0, len(wire)))))
    seen, taken = decode([wire[a:b] for a, b in pairwise([0, *at, len(wire)])])
    assert [(e.name, e.data) for e in seen] == [
        (n.removeprefix(" ") if False else n, d) for n, d in events
    ]
    assert b"".join(e.raw for e in seen) == wire == taken


LINES = st.lists(
    st.sampled_from(
        [
            *(b"data: a", b"data:b", b"data", b"data:  two", b"event: x", b"event:y", b": note"),
            *("data: \u2028\u2029\u0085".encode(), b"data: \xff\x00", b"id: 7", b"retry", b""),
        ]
    ),
    max_size=12,
)
ENDS = st.sampled_from([b"\n", b"\r", b"\r\n"])


@given(
    lines=LINES, ends=st.lists(ENDS, min_size=16, max_size=16), bom=st.booleans(), cuts=st.data()
)
def test_any_line_end_and_any_cut_agree_with_the_plain_decoder(lines, ends, bom, cuts):
    """Mixed line ends, comments, unknown fields and a BOM decode as the specification says."""
    wire = (b"\xef\xbb\xbf" if bom else b"") + b"".join(
        line + end for line, end in zip(lines, ends, strict=False)
    )
    at = sorted(cuts.draw(st.lists(st.integers(0, len(wire)))))
    seen, _ = decode([wire[a:b] for a, b in pairwise([0, *at, len(wire)])])
    assert [(e.name, e.data) for e in seen] == plain(wire)


def test_every_cut_of_a_corpus():
    """Each two-way cut of a nasty stream gives the same events."""
    wire = (
        b'\xef\xbb\xbf: hello\r\n\r\nevent: a\r\ndata: {"x":1}\r\n\r\n\n\ndata: b\rdata: c\r\r'
        b"event: d\ndata: \xe2\x80\xa8\n\ndata\n\nid: 1\nretry: 2\n\nevent: e\r\ndata: last\r\n\r\n"
    )
    expected, _ = decode([wire])
    assert [(e.name, e.data) for e in expected] == plain(wire)
    for cut in range(len(wire) + 1):
        seen, taken = decode([wire[:cut], wire[cut:]])
        assert [(e.name, e.data) for e in seen] == [(e.name, e.data) for e in expected]
        assert taken == wire


def test_a_chunk_of_whole_events_comes_back_as_itself():
    """The bytes object that came in is the one to forward: nothing is copied."""
    decoder = SseDecoder()
    first, one, two = encode("", b"0"), encode("a", b"1"), encode("b", b"2") + encode("c", b"3")
    for chunk in (first, one, two):
        decoder.feed(chunk)
        assert decoder.taken is chunk


def test_a_comment_waits_for_its_event():
    """A comment is no event; its bytes travel with the event that follows."""
    decoder = SseDecoder()
    assert decoder.feed(b": keep-alive\n\n") == []
    assert (decoder.taken, decoder.held_bytes) == (b"", 14)
    assert decoder.feed(b"data: x\n\n") == [SseEvent("", b"x", b": keep-alive\n\ndata: x\n\n")]
    assert decoder.feed(b": again\n\n") == []


def test_a_bare_cr_is_not_held_back():
    """A stream of bare CRs is forwarded at once although an LF might have followed."""
    assert [e.data for e in SseDecoder().feed(b"data: x\r\r")] == [b"x"]


def test_a_crlf_cut_in_its_last_pair_waits_for_its_lf():
    """Where a block uses CRLF its last LF belongs to it."""
    decoder = SseDecoder()
    assert decoder.feed(b"data: x\r\n\r") == []
    assert [e.raw for e in decoder.feed(b"\n")] == [b"data: x\r\n\r\n"]


def test_an_event_past_the_limit_is_refused():
    """A line that never ends costs a bounded amount of memory."""
    decoder = SseDecoder(event_bytes_max=100)
    decoder.feed(b"data: " + b"x" * 90)
    with pytest.raises(UpstreamProtocolError, match="more than 100 bytes"):
        decoder.feed(b"x" * 20)


def test_the_end_completes_an_event_without_its_blank_line():
    """An upstream that forgets the last blank line has still said its last event."""
    decoder = SseDecoder()
    decoder.feed(b"data: x\n")
    assert decoder.finish() == SseEvent("", b"x", b"data: x\n\n")
    assert decoder.finish() is None


def test_half_a_bom_is_waited_for():
    """A byte order mark is recognised even if it comes in pieces."""
    decoder = SseDecoder()
    assert decoder.feed(b"\xef\xbb") == []
    assert [e.data for e in decoder.feed(b"\xbfdata: x\n\n")] == [b"x"]
