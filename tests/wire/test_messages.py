"""Events that come as messages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import UpstreamProtocolError
from app.wire.messages import MessageDecoder, framed
from app.wire.sse import SseDecoder

DELTA = b'{"type":"response.output_text.delta","delta":"x"}'


def test_a_message_stays_the_object_that_was_received():
    """For callers who take messages."""
    decoder = MessageDecoder(event_bytes_max=100, framed=False)
    [event] = decoder.feed(DELTA)
    assert event.data is DELTA
    assert event.raw is DELTA
    assert decoder.taken is DELTA
    assert decoder.finish() is None


def test_a_message_is_framed_for_who_reads_events():
    """With its name."""
    decoder = MessageDecoder(event_bytes_max=100, framed=True)
    [event] = decoder.feed(DELTA)
    assert event.data is DELTA
    assert event.raw == decoder.taken
    assert event.raw == b"event: response.output_text.delta\ndata: " + DELTA + b"\n\n"


@pytest.mark.parametrize(
    ("message", "name"),
    [
        (b'{ "delta":1, "type" : "a.b" }', "a.b"),
        (b'{"type":"A B"}', "A B"),
        (b'{"type":"a\\nb"}', ""),
        (b'{"type":1}', ""),
        (b"nonsense", ""),
        (b"[]", ""),
    ],
)
def test_a_name_is_found_wherever_it_stands(message, name):
    """And one that can't be a line is left out."""
    [event] = SseDecoder().feed(framed(message))
    assert (event.name, event.data) == (name, message)


@given(st.text(alphabet=' \r\n\t{}[]:,"a', max_size=40))
def test_a_message_of_several_lines_is_one_event(text):
    """A line end between JSON's tokens is a blank."""
    message = b'{"type":"x"}' + text.encode()
    decoder = SseDecoder()
    events = decoder.feed(framed(message))
    assert [event.data for event in events] == [message.replace(b"\n", b" ").replace(b"\r", b" ")]
    assert decoder.held_bytes == 0


def test_a_message_has_a_limit():
    """The same as an event."""
    decoder = MessageDecoder(event_bytes_max=10, framed=True)
    with pytest.raises(UpstreamProtocolError):
        decoder.feed(DELTA)
