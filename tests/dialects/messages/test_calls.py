"""Calls are said once, under the caller's names."""

import pytest

from app.dialects.chat.events import Event
from app.dialects.messages.blocks import Blocks
from app.dialects.messages.calls import Calls
from app.dialects.messages.items import item_of
from tests.dialects.messages.asking import event, frames

CALL = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f"}


class Told:
    """Calls, and what they say."""

    def __init__(self):
        self.calls = Calls(Blocks(), {"f_short": "f_long"})

    def __call__(self, what, index=0, delta=None, item=None, **fields):
        """Return what is said of one event."""
        told = Event(output_index=index, delta=delta or b"")
        data = event("x", **({"item": item} if item else {}), **fields)
        match what:
            case "added" | "done":
                said = getattr(self.calls, what)(told, item_of(told, data))
            case "delta":
                said = self.calls.delta(told)
            case _:
                said = self.calls.arguments_done(told, data)
        return [
            one.get("content_block") or one.get("delta", {}).get("partial_json") or one["type"]
            for one in frames(b"".join(said))
        ]


def test_a_call_is_announced_and_its_arguments_follow():
    """What repeats them says nothing."""
    told = Told()
    block = {"type": "tool_use", "id": "c", "name": "f", "input": {}}
    assert told("added", item=CALL) == [block]
    assert told("added", item=CALL) == []
    assert told("delta", delta=b'"{"') == ["{"]
    assert told("delta", delta=b'"}"') == ["}"]
    assert told("arguments_done", arguments="{}") == ["content_block_stop"]
    assert told("done", item={**CALL, "arguments": "{}"}) == []
    assert told("delta", delta=b'"late"') == []
    assert told.calls.any


@pytest.mark.parametrize("arguments", ['{"a": 1}', {"a": 1}])
def test_a_call_that_was_announced_nowhere_is_said_whole(arguments):
    """Also where a relay sends the object itself."""
    told = Told()
    said = told("done", item={**CALL, "name": "f_short", "arguments": arguments})
    assert said[0]["name"] == "f_long"
    assert said[1].replace(" ", "") == '{"a":1}'
    assert said[2] == "content_block_stop"


def test_a_call_without_a_name_waits_for_it():
    """Its deltas belong to nobody."""
    told = Told()
    assert told("added", item={"type": "function_call", "id": "fc_1"}) == []
    assert told("delta", delta=b'"{}"') == []
    assert told("done", item={**CALL, "arguments": "{}"})[1:] == ["{}", "content_block_stop"]


def test_free_text_comes_as_an_object():
    """Nobody here declares such a tool, but it is not lost."""
    told = Told()
    item = {**CALL, "type": "custom_tool_call"}
    told("added", item=item)
    assert told("delta", delta=b'"x"') == []
    assert told("arguments_done", input="x\ny") == ['{"input":"x\\ny"}', "content_block_stop"]
