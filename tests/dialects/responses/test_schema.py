"""Known fields are checked with their path; what nobody knows passes."""

import json

import pytest
from msgspec import Raw

from app.dialects.responses.schema import (
    MessageItem,
    OutputItem,
    check_tool_choice,
    check_tools,
    items_of,
    json_type,
    members_of,
)
from app.errors import InvalidRequest


def raw(value: object) -> Raw:
    """Return raw JSON."""
    return Raw(json.dumps(value).encode())


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("x", "a string"),
        ({}, "an object"),
        ([], "an array"),
        (True, "a boolean"),
        (False, "a boolean"),
        (None, "null"),
        (-1, "a number"),
    ],
)
def test_a_raw_value_s_type_is_known_by_its_first_byte(value, word):
    """In words for a sentence."""
    assert json_type(raw(value)) == word


@pytest.mark.parametrize("value", [None, raw(None), 5, {}, raw({})])
def test_what_is_no_object_has_no_members(value):
    """Null and absence mean the same."""
    assert members_of(value) == {}


def test_an_object_has_its_members_raw_or_not():
    """A copy, to be changed at will."""
    made = {"a": 1}
    assert members_of(made) == made
    assert members_of(made) is not made
    assert members_of(raw(made)) == {"a": raw(1)}


def test_input_is_a_string_or_items():
    """Known items get their form, others only their kind."""
    assert items_of(raw("hello")) == "hello"
    items = items_of(
        raw(
            [
                {"role": "user", "content": "hi"},
                {"type": "function_call_output", "call_id": "c", "output": [{"type": "x"}]},
                {"type": "future", "role": None, "call_id": {}, "content": 5},
            ]
        )
    )
    assert isinstance(items, list)
    message, output, future = items
    assert (message.type, message.at, type(message.item)) == ("message", "input[0]", MessageItem)
    assert isinstance(output.item, OutputItem)
    assert (future.type, future.item) == ("future", None)


LONG = "x" * 65


@pytest.mark.parametrize(
    ("value", "param"),
    [
        (5, "input"),
        (None, "input"),
        ([5], "input[0]"),
        ([{}], "input[0].type"),
        ([{"type": 5}], "input[0].type"),
        ([{"role": "boss", "content": ""}], "input[0].role"),
        ([{"type": "message", "content": ""}], "input[0].role"),
        ([{"role": "user"}], "input[0].content"),
        ([{"role": "user", "content": 5}], "input[0].content"),
        ([{"role": "user", "content": [{}]}], "input[0].content[0].type"),
        ([{"role": "user", "content": [{"type": 1}]}], "input[0].content[0].type"),
        (
            [{"role": "user", "content": [{"type": "input_text", "text": 1}]}],
            "input[0].content[0].text",
        ),
        (
            [{"role": "user", "content": [{"type": "input_image", "image_url": {}}]}],
            "input[0].content[0].image_url",
        ),
        (
            [{"role": "user", "content": [{"type": "input_image", "detail": "huge"}]}],
            "input[0].content[0].detail",
        ),
        ([{"role": "assistant", "content": "", "phase": "x"}], "input[0].phase"),
        ([{"type": "reasoning", "encrypted_content": 5}], "input[0].encrypted_content"),
        ([{"type": "function_call", "call_id": "c", "name": "f"}], "input[0].arguments"),
        (
            [{"type": "function_call", "call_id": "c", "name": "f", "arguments": {}}],
            "input[0].arguments",
        ),
        (
            [{"type": "function_call", "call_id": LONG, "name": "f", "arguments": ""}],
            "input[0].call_id",
        ),
        (
            [{"type": "custom_tool_call", "call_id": "c", "name": LONG, "input": ""}],
            "input[0].name",
        ),
        ([{"type": "custom_tool_call_output", "output": ""}], "input[0].call_id"),
        ([{"type": "function_call_output", "call_id": "c", "output": 5}], "input[0].output"),
        ([{"role": "tool", "content": "x"}], "input[0].tool_call_id"),
        ([{"role": "assistant", "tool_calls": [{}]}], "input[0].tool_calls[0].id"),
        ([{"type": "compaction_trigger"}, {"role": "user", "content": ""}], "input[0]"),
    ],
)
def test_a_wrong_item_is_named_by_its_path(value, param):
    """Down to the part."""
    with pytest.raises(InvalidRequest) as caught:
        items_of(raw(value))
    assert caught.value.param == param


def test_a_compaction_trigger_may_be_the_last_item():
    """There it belongs."""
    assert (
        len(items_of(raw([{"role": "user", "content": ""}, {"type": "compaction_trigger"}]))) == 2
    )


@pytest.mark.parametrize(
    ("tools", "param"),
    [
        ([{}], "tools[0].type"),
        ([{"type": "mcp"}, 5], "tools[1]"),
        ([{"type": "function"}], "tools[0].name"),
        ([{"type": "function", "name": LONG}], "tools[0].name"),
        ([{"type": "function", "name": "f", "parameters": []}], "tools[0].parameters"),
        ([{"type": "custom", "name": 5}], "tools[0].name"),
        ([{"type": "mcp"}] * 129, "tools"),
    ],
)
def test_a_wrong_tool_is_named_by_its_path(tools, param):
    """And so is one tool too many."""
    with pytest.raises(InvalidRequest) as caught:
        check_tools([raw(tool) for tool in tools])
    assert caught.value.param == param


def test_tools_that_nobody_knows_pass():
    """Up to 128 of them."""
    check_tools([raw({"type": "future", "name": 5})] * 128)
    check_tools([raw({"type": "function", "name": "f", "parameters": {}, "new": 1})])


@pytest.mark.parametrize(
    ("choice", "param"),
    [("maybe", "tool_choice"), (5, "tool_choice"), ({}, "tool_choice.type"), ([], "tool_choice")],
)
def test_a_wrong_tool_choice_is_refused(choice, param):
    """Words and objects with a type are choices."""
    with pytest.raises(InvalidRequest) as caught:
        check_tool_choice(raw(choice))
    assert caught.value.param == param


@pytest.mark.parametrize("choice", ["none", "auto", "required", {"type": "allowed_tools"}])
def test_a_tool_choice_passes(choice):
    """Of any type."""
    check_tool_choice(raw(choice))
