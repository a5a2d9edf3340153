"""Turns become items; the whole of it is in the golden files."""

import pytest

from app.errors import InvalidRequest
from tests.dialects.messages.asking import upstream

USE = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "t", "content": "r"}
IMAGE = {"type": "image", "source": {"type": "url", "url": "https://e.org/a.png"}}


def test_results_go_before_what_else_a_turn_says():
    """Also where the turn is two messages."""
    items = upstream(
        ("user", "go"), ("assistant", [USE]), ("user", [{"type": "text", "text": "a"}, RESULT])
    )["input"]
    assert [item["type"] for item in items[1:]] == [
        "function_call",
        "function_call_output",
        "message",
    ]
    upstream(("user", "go"), ("assistant", [USE]), ("user", "first"), ("user", [RESULT]))


def test_text_between_calls_keeps_its_place():
    """An answer is said in its order."""
    other = USE | {"id": "u"}
    said = [{"type": "text", "text": "a"}, USE, {"type": "text", "text": "b"}, other]
    results = [RESULT, RESULT | {"tool_use_id": "u"}]
    items = upstream(("user", "go"), ("assistant", said), ("user", results))["input"]
    kinds = ["message", "function_call", "message", "function_call"]
    assert [item["type"] for item in items[1:5]] == kinds


def test_empty_texts_are_left_out():
    """The upstream refuses them."""
    items = upstream(("user", [{"type": "text", "text": ""}, {"type": "text", "text": "a"}]))[
        "input"
    ]
    assert items[0]["content"] == [{"type": "input_text", "text": "a"}]


def test_a_system_message_may_have_blocks():
    """It is the operator's word wherever it stands."""
    items = upstream(("user", "a"), ("system", [{"type": "text", "text": "b"}]), ("user", "c"))[
        "input"
    ]
    assert [item["role"] for item in items] == ["user", "developer", "user"]


@pytest.mark.parametrize(
    ("messages", "param", "words"),
    [
        ([("user", "a"), ("assistant", [USE]), ("assistant", "b"), ("user", "c")], "messages[1]",
         "`tool_use` ids were found without `tool_result` blocks immediately after: t"),
        ([("user", "a"), ("assistant", [USE])], "messages[1]", "without `tool_result`"),
        ([("user", [RESULT])], "messages[0].content[0]", "unexpected `tool_use_id`"),
        ([("user", "a"), ("assistant", [USE]), ("user", [RESULT, RESULT])],
         "messages[2].content[1]", "single result"),
        ([("user", "a"), ("assistant", [USE, USE]), ("user", [RESULT])],
         "messages[1].content[1].id", "unique"),
        ([("user", "a"), ("assistant", "b")], "messages[1]", "must end with a user message"),
        ([("user", "")], "messages[0]", "empty"),
        ([("user", [USE])], "messages[0].content[0].type", "assistant"),
        ([("user", "a"), ("assistant", [IMAGE]), ("user", "b")],
         "messages[1].content[0].type", "user"),
        ([("system", [IMAGE]), ("user", "b")], "messages[0].content[0].type", "text only"),
        ([("user", [{"type": "container_upload", "file_id": "f"}])], "messages[0].content[0].type",
         "Containers"),
    ],
)  # fmt: skip
def test_what_can_not_be_said_is_refused_by_name(messages, param, words):
    """In the words of Anthropic's API, where it has some."""
    with pytest.raises(InvalidRequest, match=words) as caught:
        upstream(*messages)
    assert caught.value.param == param


def test_thoughts_of_others_are_left_out():
    """What is ours goes to its account."""
    ours = {"type": "thinking", "thinking": "", "signature": "c2a1.g"}
    theirs = {"type": "thinking", "thinking": "x", "signature": "other"}
    items = upstream(("user", "a"), ("assistant", [theirs, ours]), ("user", "b"))["input"]
    assert [item["type"] for item in items] == ["message", "reasoning", "message"]
    assert items[1] == {"type": "reasoning", "summary": [], "encrypted_content": "g"}
