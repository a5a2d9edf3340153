"""What the golden cases of the folder don't show of app.dialects.chat_upstream.messages."""

import pytest

from app.dialects.chat_upstream.messages import messages_of
from app.errors import NotSupportedByUpstream


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_image", "file_id": "file-1"},
        {"type": "input_file", "file_url": "https://example.com/a.pdf", "filename": "a.pdf"},
    ],
)
def test_what_is_only_named_is_refused_and_not_left_out(part):
    """A model that is asked about a picture must have been shown it."""
    item = {"type": "message", "role": "user", "content": [part]}
    with pytest.raises(NotSupportedByUpstream, match="send the data"):
        messages_of([item], None, platform=False)


def test_directions_come_as_one_message_where_templates_want_that():
    """Later ones, after the talk has begun, stay where they are."""
    items = [
        {"role": "developer", "content": "b"},
        {"role": "user", "content": "c"},
        {"role": "developer", "content": "d"},
    ]
    assert messages_of(items, "a", platform=False) == [
        {"role": "system", "content": "a\n\nb"},
        {"role": "user", "content": "c"},
        {"role": "system", "content": "d"},
    ]
    assert [m["content"] for m in messages_of(items, " ", platform=True)] == ["b", "c", "d"]


def test_a_result_without_its_call_says_nothing():
    """Pairing is repaired before; chat servers refuse a result that nothing asked for."""
    orphan = {"type": "function_call_output", "call_id": "x", "output": "y"}
    assert messages_of([orphan, {"role": "user", "content": "c"}], None, platform=False) == [
        {"role": "user", "content": "c"}
    ]
