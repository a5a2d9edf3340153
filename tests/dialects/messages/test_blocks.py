"""Blocks are said one at a time."""

from app.dialects.messages.blocks import Blocks
from tests.dialects.messages.asking import frames

TEXT = {"type": "text", "text": ""}
CALL = {"type": "tool_use", "id": "c", "name": "f", "input": {}}


def kinds(pieces):
    """Return what is said of which block."""
    return [
        (one["index"], one["type"].removeprefix("content_block_"))
        for one in frames(b"".join(pieces))
    ]


def test_text_ends_when_something_else_begins():
    """Nobody has to end it."""
    blocks = Blocks()
    text, said = blocks.begin(TEXT)
    assert kinds(said) == [(0, "start")]
    assert blocks.speaking
    assert kinds(blocks.more(text, "text", b'"x"')) == [(0, "delta")]
    _, said = blocks.begin(CALL)
    assert kinds(said) == [(0, "stop"), (1, "start")]
    assert text.ended
    assert list(blocks.end(text)) == []


def test_a_call_keeps_others_waiting_until_it_is_done():
    """Then all that was held back is said."""
    blocks = Blocks()
    first, _ = blocks.begin(CALL)
    second, said = blocks.begin(CALL)
    assert said == []
    assert not blocks.speaking
    assert list(blocks.more(second, "json", b'"{}"')) == []
    assert kinds(blocks.more(first, "json", b'"{}"')) == [(0, "delta")]
    assert list(blocks.end(second)) == []
    assert kinds(blocks.end(first)) == [
        (0, "stop"), (1, "start"), (1, "delta"), (1, "stop"),
    ]  # fmt: skip


def test_the_end_of_the_reply_ends_all():
    """In order, whatever was still open."""
    blocks = Blocks(rest=iter([b'"held"', b""]).__next__)
    blocks.begin(CALL)
    blocks.begin(CALL)
    blocks.begin(TEXT)
    said = kinds(blocks.close())
    assert said == [
        (0, "stop"), (1, "start"), (1, "stop"), (2, "start"), (2, "delta"), (2, "stop"),
    ]  # fmt: skip
    assert list(blocks.close()) == []
