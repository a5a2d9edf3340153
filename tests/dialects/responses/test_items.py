"""Items are repaired one by one, then calls and outputs are paired."""

import json

import msgspec
import pytest
from msgspec import Raw

from app.dialects.responses.items import NO_OUTPUT, message, repaired, says_json
from app.dialects.responses.schema import items_of
from app.errors import CallerError


def repair(*items: object, lite: bool = False) -> list[object]:
    """Return the repaired items, decoded."""
    known = items_of(Raw(json.dumps(items).encode()))
    return json.loads(msgspec.json.encode(repaired(known, lite=lite)))


def text(kind: str, words: str) -> dict[str, str]:
    """Return a text part."""
    return {"type": kind, "text": words}


CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c", "output": "done"}
CUSTOM = {"type": "custom_tool_call", "call_id": "d", "name": "g", "input": "x"}
CUSTOM_OUTPUT = {"type": "custom_tool_call_output", "call_id": "d", "output": "done"}


def test_a_string_is_a_users_message():
    """The simplest input there is."""
    assert repaired("hi") == [message("user", "hi")]


def test_right_items_keep_their_bytes():
    """The very same raw values come back."""
    items = [
        {"type": "message", "role": "user", "content": [text("input_text", "a")], "new": 1},
        {"type": "message", "role": "assistant", "content": [text("output_text", "b")]},
        {"type": "reasoning", "encrypted_content": "x", "summary": []},
        CALL,
        OUTPUT,
        CUSTOM,
        {**CUSTOM_OUTPUT, "output": [text("input_text", "c"), {"type": "input_image"}]},
        {"type": "future", "anything": {"id": "kept"}},
        {"type": "compaction_trigger"},
    ]
    known = items_of(Raw(json.dumps(items, indent=1).encode()))
    assert isinstance(known, list)
    assert all(new is item.raw for new, item in zip(repaired(known), known, strict=True))


@pytest.mark.parametrize(
    ("item", "sent"),
    [
        ({"role": "user", "content": "a"}, message("user", "a")),
        ({"type": "message", "role": "system", "content": "a"}, message("developer", "a")),
        (
            {"role": "assistant", "content": "a", "phase": "final_answer", "id": "msg_1"},
            {**message("assistant", "a"), "phase": "final_answer"},
        ),
        (
            {
                "role": "user",
                "content": [text("text", "a"), {"type": "input_file", "file_id": "f"}],
            },
            {
                "type": "message",
                "role": "user",
                "content": [text("input_text", "a"), {"type": "input_file", "file_id": "f"}],
            },
        ),
        (
            {"type": "message", "role": "assistant", "content": [text("input_text", "a")]},
            message("assistant", "a"),
        ),
        ({"type": "future", "id": "x", "a": 1}, {"type": "future", "a": 1}),
        ({"type": "future", "call_id": {"odd": 1}}, {"type": "future", "call_id": {"odd": 1}}),
    ],
)
def test_an_item_is_repaired(item, sent):
    """Bare strings, roles, ids and types of parts."""
    assert repair(item) == [sent]


def test_reasoning_that_cannot_be_read_is_left_out():
    """Without its encrypted content it says nothing to anybody."""
    assert repair({"type": "reasoning", "id": "rs_1", "summary": []}) == []


def test_chats_tool_messages_become_items():
    """An assistant's calls and the tools' answers."""
    calls = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    assert repair(
        {"role": "assistant", "content": "Let me see.", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "c", "content": "done"},
        {"role": "assistant", "content": None, "tool_calls": [{**calls[0], "id": "e"}]},
        {"role": "tool", "tool_call_id": "e", "content": [text("text", "part")]},
    ) == [
        message("assistant", "Let me see."),
        CALL,
        OUTPUT,
        {**CALL, "call_id": "e"},
        {**OUTPUT, "call_id": "e", "output": [text("input_text", "part")]},
    ]


def test_ids_of_calls_and_outputs_are_dropped():
    """Their prefixes are the backend's business."""
    assert repair({**CALL, "id": "fc_1"}, {**OUTPUT, "id": "x"}) == [CALL, OUTPUT]


def test_a_call_without_an_output_gets_one():
    """Right behind it, of its kind."""
    assert repair(CALL, CUSTOM) == [
        CALL,
        {**OUTPUT, "output": NO_OUTPUT},
        CUSTOM,
        {**CUSTOM_OUTPUT, "output": NO_OUTPUT},
    ]


def test_an_output_without_a_call_is_said_by_the_user():
    """What it says is not lost."""
    parts = [text("input_text", "a")]
    assert repair(OUTPUT, {**CUSTOM_OUTPUT, "output": parts}) == [
        message("user", "done"),
        {"type": "message", "role": "user", "content": parts},
    ]


def test_kinds_are_paired_with_their_own():
    """A function's output answers no custom call, but it answers a local shell's."""
    assert repair({**CUSTOM, "call_id": "c"}, OUTPUT) == [
        {**CUSTOM, "call_id": "c"},
        {**CUSTOM_OUTPUT, "call_id": "c", "output": NO_OUTPUT},
        message("user", "done"),
    ]
    shell = {"type": "local_shell_call", "call_id": "c", "action": {}}
    assert repair(shell, OUTPUT) == [shell, OUTPUT]


def test_lite_takes_the_detail_out_of_images():
    """In messages and in outputs; the full form keeps it."""
    image = {"type": "input_image", "image_url": "u", "detail": "high"}
    bare = {"type": "input_image", "image_url": "u"}
    items = [
        {"type": "message", "role": "user", "content": [text("input_text", "a"), image]},
        CALL,
        {**OUTPUT, "output": [image]},
    ]
    assert repair(*items) == items
    assert repair(*items, lite=True) == [
        {"type": "message", "role": "user", "content": [text("input_text", "a"), bare]},
        CALL,
        {**OUTPUT, "output": [bare]},
    ]


def test_a_reference_cannot_be_resolved():
    """It is told, never dropped in silence."""
    with pytest.raises(CallerError) as caught:
        repair(CALL, {"type": "item_reference", "id": "msg_1"})
    error = caught.value
    assert (error.status, error.code) == (409, "response_context_unavailable")
    assert error.param == "input[1]"


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ("Give me JSON", True),
        ("Give me text", False),
        ([{"role": "user", "content": "json please"}], True),
        ([{"role": "user", "content": [text("input_text", "some Json")]}], True),
        ([{"role": "user", "content": [{"type": "input_image", "image_url": "json"}]}], False),
        ([{"role": "tool", "tool_call_id": "c", "content": "json"}], True),
        ([CALL, {"type": "future", "text": "json"}], False),
    ],
)
def test_the_word_json_is_looked_for_in_messages(items, said):
    """Whatever its case; not in URLs, not in tools."""
    assert says_json(items_of(Raw(json.dumps(items).encode()))) is said
