"""Frames are events as Anthropic's clients read them."""

from anthropic.types import RawMessageStreamEvent
from pydantic import TypeAdapter

from app.dialects.messages import frames

EVENT = TypeAdapter(RawMessageStreamEvent)


def test_every_frame_is_an_event_of_its_name():
    """Its name stands before its data, and its type in it."""
    usage = {"output_tokens": 1}
    made = [
        frames.message_start("m", "claude"),
        frames.block_start(0, {"type": "text", "text": ""}),
        frames.delta(0, "text", b'"x"'),
        frames.delta(0, "thinking", b'"x"'),
        frames.delta(0, "signature", b'"x"'),
        frames.delta(0, "json", b'"x"'),
        frames.block_stop(0),
        frames.message_delta("stop_sequence", "END", usage),
        frames.MESSAGE_STOP,
    ]
    for frame in made:
        name, _, data = frame.partition(b"\ndata: ")
        event = EVENT.validate_json(data)
        assert name == b"event: " + event.type.encode()
        assert frame.endswith(b"\n\n")
        assert frame.count(b"\n") == 3


def test_a_ping_is_one():
    """It is what a stream says in silence."""
    assert frames.PING == b'event: ping\ndata: {"type":"ping"}\n\n'
