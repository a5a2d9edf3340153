"""Calls are announced once and numbered in the order they appear."""

import msgspec
import pytest

from app.dialects.chat.calls import Calls
from app.dialects.chat.events import ItemEvent, event_of


class Caller:
    """Calls, fed by keyword."""

    def __init__(self, names=None, *, legacy=False):
        self.calls = Calls(names or {}, legacy=legacy)

    def feed(self, what, **fields):
        """Feed an event to the method `what`, and return what the deltas hold."""
        data = msgspec.json.encode(fields)
        event = event_of(data)
        arguments = (event,)
        if what in {"added", "done"}:
            item = msgspec.json.decode(data, type=ItemEvent).item
            event.item_id = item.id or ""
            arguments = (event, item)
        elif what == "arguments_done":
            arguments = (event, data)
        return [msgspec.json.decode(delta) for delta in getattr(self.calls, what)(*arguments)]


def item(id="fc_1", call_id="call_1", name="f", kind="function_call", **fields):
    """Return an output item that is a call."""
    return {"type": kind, "id": id, "call_id": call_id, "name": name} | fields


def announced(index=0, id="call_1", name="f", arguments=""):
    """Return the delta that announces a function's call."""
    function = {"name": name, "arguments": arguments}
    return {"tool_calls": [{"index": index, "id": id, "type": "function", "function": function}]}


def more(index, arguments):
    """Return the delta that says more of a function's call."""
    return {"tool_calls": [{"index": index, "function": {"arguments": arguments}}]}


def test_a_call_is_announced_and_then_said():
    """The `.done` events repeat it, so they say nothing."""
    caller = Caller()
    assert caller.calls.finish_reason == "stop"
    assert caller.feed("added", output_index=3, item=item()) == [announced()]
    assert caller.feed("delta", output_index=3, delta='{"a"') == [more(0, '{"a"')]
    assert caller.feed("delta", output_index=3, delta=":1}") == [more(0, ":1}")]
    assert caller.feed("arguments_done", output_index=3, arguments='{"a":1}') == []
    assert caller.feed("done", output_index=3, item=item(arguments='{"a":1}')) == []
    assert caller.calls.finish_reason == "tool_calls"


def test_calls_that_interleave_are_kept_apart():
    """By index, or by id where the index is missing or unknown; the second waits for the first."""
    caller = Caller()
    caller.feed("added", output_index=5, item=item("fc_1", "call_1"))
    assert caller.feed("added", output_index=2, item=item("fc_2", "call_2")) == []
    assert caller.feed("delta", output_index=2, delta="b") == []
    assert caller.feed("delta", item_id="fc_1", delta="a") == [more(0, "a")]
    assert caller.feed("delta", output_index=9, item_id="fc_2", delta="d") == []
    assert caller.feed("delta", output_index=5, item_id="other", delta="c") == [more(0, "c")]
    held = [announced(1, "call_2"), more(1, "b"), more(1, "d")]
    assert caller.feed("done", output_index=5, item=item("fc_1", "call_1")) == held
    assert caller.feed("delta", output_index=2, delta="e") == [more(1, "e")]


def test_calls_that_are_never_done_are_said_at_the_end():
    """A reply that ends early does not swallow what waited."""
    caller = Caller()
    caller.feed("added", output_index=0, item=item("fc_1", "call_1"))
    caller.feed("added", output_index=1, item=item("fc_2", "call_2"))
    assert [msgspec.json.decode(piece) for piece in caller.calls.rest()] == [announced(1, "call_2")]


def test_arguments_without_deltas_are_said_at_their_end():
    """By the first event that has them."""
    caller = Caller()
    caller.feed("added", output_index=0, item=item())
    assert caller.feed("arguments_done", output_index=0, arguments="{}") == [more(0, "{}")]
    assert caller.feed("done", output_index=0, item=item(arguments="{}")) == []
    late = Caller()
    late.feed("added", output_index=0, item=item())
    assert late.feed("arguments_done", output_index=0) == []
    assert late.feed("done", output_index=0, item=item(arguments="{}")) == [more(0, "{}")]
    assert late.feed("done", output_index=0, item=item(arguments="{}")) == []


def test_a_call_that_was_never_announced_is_said_whole():
    """Once."""
    caller = Caller()
    whole = item(arguments='{"a":1}')
    assert caller.feed("arguments_done", output_index=0, arguments='{"a":1}') == []
    assert caller.feed("done", output_index=0, item=whole) == [announced(arguments='{"a":1}')]
    assert caller.feed("done", output_index=0, item=whole) == []
    assert caller.feed("added", output_index=0, item=whole) == []


def test_arguments_that_are_an_object_become_a_string():
    """Relays send them so."""
    caller = Caller()
    (delta,) = caller.feed("done", output_index=0, item=item(arguments={"a": 1}))
    assert delta["tool_calls"][0]["function"]["arguments"] == '{"a":1}'


@pytest.mark.parametrize("lacking", [{"call_id": None}, {"name": None}, {"name": ""}])
def test_a_call_without_id_or_name_waits(lacking):
    """It is said once both are there; its deltas are in the end repeated."""
    caller = Caller()
    assert caller.feed("added", output_index=0, item=item() | lacking) == []
    assert caller.feed("delta", output_index=0, delta="{}") == []
    assert caller.feed("done", output_index=0, item=item() | lacking) == []
    assert caller.feed("done", output_index=0, item=item(arguments="{}")) == [
        announced(arguments="{}")
    ]


def test_a_call_whose_end_lacks_its_id_is_still_known():
    """By its place."""
    caller = Caller()
    caller.feed("added", output_index=0, item=item())
    done = item(call_id=None, arguments="{}")
    assert caller.feed("done", output_index=0, item=done) == [more(0, "{}")]


def test_a_call_without_any_place_is_announced():
    """Its end says the rest by the call's id."""
    caller = Caller()
    assert caller.feed("added", item=item(id=None)) == [announced()]
    assert caller.feed("delta", delta="x") == []
    assert caller.feed("done", item=item(id=None, arguments="{}")) == [more(0, "{}")]


def test_an_empty_or_strange_delta_says_nothing():
    """So the end may still say it all."""
    caller = Caller()
    caller.feed("added", output_index=0, item=item())
    assert caller.feed("delta", output_index=0, delta="") == []
    assert caller.feed("delta", output_index=0, delta={"a": 1}) == []
    assert caller.feed("arguments_done", output_index=0, arguments="{}") == [more(0, "{}")]


def test_a_custom_call_has_an_input():
    """Free text, in the form of custom tools."""
    caller = Caller()
    custom = item("ctc_1", "call_2", "patch", "custom_tool_call")
    assert caller.feed("added", output_index=0, item=custom) == [
        {
            "tool_calls": [
                {
                    "index": 0,
                    "id": "call_2",
                    "type": "custom",
                    "custom": {"name": "patch", "input": ""},
                }
            ]
        }
    ]
    assert caller.feed("delta", output_index=0, delta="***") == [
        {"tool_calls": [{"index": 0, "custom": {"input": "***"}}]}
    ]
    assert caller.feed("arguments_done", output_index=0, input="***") == []


def test_a_custom_calls_input_without_deltas_is_said_at_its_end():
    """As arguments are."""
    caller = Caller()
    caller.feed("added", output_index=0, item=item(kind="custom_tool_call"))
    assert caller.feed("arguments_done", output_index=0, input="x") == [
        {"tool_calls": [{"index": 0, "custom": {"input": "x"}}]}
    ]


def test_the_callers_name_is_restored():
    """Only a shortened name is known here."""
    caller = Caller({"short": "a_long_name"})
    assert caller.feed("added", output_index=0, item=item(name="short")) == [
        announced(name="a_long_name")
    ]


def test_the_old_form_holds_one_call():
    """A second one has no place in it."""
    caller = Caller(legacy=True)
    assert caller.feed("added", output_index=0, item=item()) == [
        {"function_call": {"name": "f", "arguments": ""}}
    ]
    assert caller.feed("delta", output_index=0, delta="{}") == [
        {"function_call": {"arguments": "{}"}}
    ]
    assert caller.feed("added", output_index=1, item=item("fc_2", "call_2")) == []
    assert caller.feed("delta", output_index=1, delta="{}") == []
    assert caller.calls.finish_reason == "function_call"
