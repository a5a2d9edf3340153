"""A message is the fold of its frames; the properties are in `test_replies.py`."""

import msgspec
import pytest

from app.dialects.messages.fold import MessagesFold
from app.errors import UpstreamError, UpstreamRefused
from tests.dialects.messages.asking import call, event


def folded(*events):
    """Return the fold of these events."""
    fold = MessagesFold(call=call(shown="all"), id="m")
    for data in events:
        fold.feed(data)
    return fold


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        ('{"a": [1]}', {"a": [1]}),
        ("", {}),
        ("[1]", {"arguments": "[1]"}),
        ('{"a', {"arguments": '{"a'}),
    ],
)
def test_arguments_become_an_object(arguments, given):
    """What is none is told all the same."""
    item = {"type": "function_call", "call_id": "c", "name": "f", "arguments": arguments}
    fold = folded(
        event("response.output_item.done", item=item, output_index=0),
        event("response.completed", response={}),
    )
    [block] = msgspec.json.decode(fold.to_message())["content"]
    assert block == {"type": "tool_use", "id": "c", "name": "f", "input": given}


def test_an_empty_answer_is_a_message():
    """Its content is empty."""
    whole = msgspec.json.decode(folded(event("response.completed", response={})).to_message())
    assert (whole["content"], whole["stop_reason"], whole["role"]) == ([], "end_turn", "assistant")


@pytest.mark.parametrize(
    ("code", "kind"), [("invalid_prompt", UpstreamRefused), ("server_error", UpstreamError)]
)
def test_a_failure_is_raised(code, kind):
    """With the upstream's words."""
    fold = folded(event("response.failed", response={"error": {"code": code, "message": "no"}}))
    assert fold.failure is not None
    with pytest.raises(kind, match="no"):
        fold.to_message()
