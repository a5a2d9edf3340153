"""Tests of app.upstream.sockets.framing: what it cuts is what the library would have read."""

import itertools

from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side, State

from app.upstream.sockets.framing import Framing

SIZES = st.one_of(st.integers(0, 300), st.sampled_from([125, 126, 127, 65_535, 65_536, 70_000]))
SIMPLE = st.tuples(st.just([(Opcode.TEXT, True)]), SIZES)
CONTROL = st.tuples(
    st.sampled_from([[(Opcode.PING, True)], [(Opcode.PONG, True)]]), st.integers(0, 125)
)
FRAGMENTS = st.tuples(
    st.lists(st.booleans(), max_size=3).map(
        lambda pings: [
            (Opcode.TEXT, False),
            *itertools.chain.from_iterable(
                [(Opcode.PING, True), (Opcode.CONT, False)] if ping else [(Opcode.CONT, False)]
                for ping in pings
            ),
            (Opcode.CONT, True),
        ]
    ),
    st.integers(0, 125),
)
BINARY = st.tuples(st.just([(Opcode.BINARY, True)]), SIZES)
STREAMS = st.lists(st.one_of(SIMPLE, CONTROL, FRAGMENTS, BINARY), max_size=8)


def encoded(groups: list[tuple[list[tuple[Opcode, bool]], int]], *, mask: bool = False) -> bytes:
    """Return the frames as they travel; each has other words."""
    letters = itertools.cycle(b"abcdefghij")
    return b"".join(
        Frame(opcode, bytes([next(letters)]) * size, fin).serialize(mask=mask)
        for frames, size in groups
        for opcode, fin in frames
    )


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """Return the bytes in pieces, as a network may deliver them."""
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    return [data[a:b] for a, b in itertools.pairwise(places)]


def events_of(library: Protocol) -> list[tuple[Opcode, bool, bytes]]:
    """Return the frames that the library has read since it was last asked."""
    return [
        (event.opcode, event.fin, bytes(event.data))
        for event in library.events_received()
        if isinstance(event, Frame)
    ]


@given(STREAMS, st.lists(st.integers(0, 200_000), max_size=12), st.booleans())
def test_nothing_is_read_that_the_library_would_not_have_read(groups, cuts, mask) -> None:
    """In the same order, whatever the pieces; a frame that breaks the rules ends both alike."""
    data = encoded(groups, mask=mask)
    alone = Protocol(Side.CLIENT, state=State.OPEN)
    alone.receive_data(data)
    helped, framing, found = Protocol(Side.CLIENT, state=State.OPEN), Framing(), []
    for came in pieces(data, cuts):
        for piece in framing.cut(came):
            if helped.state is not State.OPEN:
                break
            if piece.message:
                found.append((Opcode.TEXT, True, piece.data))
            else:
                helped.receive_data(piece.data)
                found += events_of(helped)
    assert found == events_of(alone)
    assert helped.state is alone.state


def test_whole_messages_need_no_library() -> None:
    """However many come together, of whatever size."""
    frames = [Frame(Opcode.TEXT, b"x" * size) for size in (0, 1, 125, 126, 65_535, 65_536)]
    data = b"".join(frame.serialize(mask=False) for frame in frames)
    found = Framing().cut(data)
    assert all(piece.message for piece in found)
    assert [piece.data for piece in found] == [frame.data for frame in frames]


def test_a_message_within_the_frames_of_another_is_left_to_the_library() -> None:
    """It breaks the rules, and who parses them must see that."""
    frames = [Frame(Opcode.TEXT, b"a", fin=False), Frame(Opcode.TEXT, b"b")]
    data = b"".join(frame.serialize(mask=False) for frame in frames)
    assert not any(piece.message for piece in Framing().cut(data))


def test_the_size_of_a_message_that_is_not_whole_is_known_at_once() -> None:
    """Its header goes to the library, which ends the connection if it is too large."""
    framing, library = Framing(), Protocol(Side.CLIENT, state=State.OPEN, max_size=1_000)
    header = b"\x81\x7f" + (20_000_000).to_bytes(8, "big")
    for came in (header[:1], header[1:5], header[5:], b"x"):
        for piece in framing.cut(came):
            assert not piece.message
            library.receive_data(piece.data)
    assert library.close_sent is not None
    assert library.close_sent.code == 1009
