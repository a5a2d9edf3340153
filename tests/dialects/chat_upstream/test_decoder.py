"""The quick way and the plain one say the same, whatever comes and however it is cut."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from app.dialects.chat_upstream.decoder import RetoldDecoder
from app.dialects.chat_upstream.replies import DONE, END, Retold, Teller
from app.wire.sse import SseDecoder, encode
from tests.dialects.chat.test_replies import stream
from tests.dialects.chat_upstream.test_replies import ODD, TEXTS

TELLER = Teller("x", 1, "m")
HEAD = b'{"id":"c","model":"m","choices":[{"index":0,"delta":{"content":'
TAIL = b'},"logprobs":null,"finish_reason":null}]}'
TEXT_CHUNKS = TEXTS.map(lambda text: HEAD + msgspec.json.encode(text) + TAIL)
RAW_CHUNKS = st.binary(max_size=12).map(
    lambda raw: HEAD + b'"' + raw.replace(b"\n", b"").replace(b"\r", b"") + b'"' + TAIL
)
OTHER_CHUNKS = ODD.map(msgspec.json.encode) | st.sampled_from(
    [
        DONE,
        END,
        HEAD + b'"a","tool_calls":[{"index":0,"id":"c","function":{"name":"f"}}]' + TAIL,
        HEAD.replace(b"content", b"refusal") + b'"no"' + TAIL,
        HEAD.replace(b"content", b"reasoning") + b'"hm"' + TAIL,
        HEAD + b'"end"' + TAIL.replace(b"null}]", b'"stop"}]'),
    ]
)
CHUNKS = st.lists(TEXT_CHUNKS | TEXT_CHUNKS | RAW_CHUNKS | OTHER_CHUNKS, max_size=20)


def plain(datas: list[bytes]) -> bytes:
    """Retell without any shortcut: the oracle."""
    retold = Retold(TELLER)
    return b"".join(retold.feed(data) for data in datas)


def quick(pieces: list[bytes]) -> bytes:
    """Decode; the events are those in the bytes that were taken."""
    decoder = RetoldDecoder(Retold(TELLER), event_bytes_max=1 << 20)
    told = b""
    for piece in pieces:
        events = decoder.feed(piece)
        taken = decoder.taken
        assert [structs.replace(event, text=b"") for event in events] == SseDecoder().feed(taken)
        told += taken
    return told


@given(CHUNKS)
def test_the_quick_way_says_what_the_plain_one_says(datas):
    """Event by event, as upstreams send them."""
    assert quick([encode("", data) for data in datas]) == plain(datas)


@given(CHUNKS, st.integers(1, 40))
def test_a_cut_changes_nothing(datas, size):
    """Chunks of any size, in which several events may come or half of one."""
    stream = b"".join(encode("", data) for data in datas)
    pieces = [stream[start : start + size] for start in range(0, len(stream), size)]
    assert quick(pieces) == plain(datas)


@given(CHUNKS, st.booleans())
def test_the_words_alone_make_the_chunk_that_the_event_makes(datas, together):
    """A chat caller of a chat upstream gets the same, and no event is looked into for it."""
    quickly, plainly = (stream() for _ in range(2))
    decoder = RetoldDecoder(Retold(TELLER), event_bytes_max=1 << 20)
    pieces = [encode("", data) for data in datas]
    for piece in [b"".join(pieces)] if together else pieces:
        for event in decoder.feed(piece):
            said = quickly.more_text(event.text) if event.text else quickly.feed(event.data)
            assert said == plainly.feed(event.data)
