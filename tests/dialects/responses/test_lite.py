"""The Lite form is made once, from whatever the full form had."""

import json

import msgspec
import pytest
from msgspec import UNSET, Raw

from app.dialects.responses.items import message
from app.dialects.responses.lite import is_lite, to_lite
from app.errors import InvalidRequest

TOOLS = {"type": "additional_tools", "role": "developer", "tools": []}


def test_lite_is_known_by_its_first_item():
    """Raw or made here, and not by others."""
    raw = Raw(json.dumps(TOOLS).encode())
    assert is_lite([raw])
    assert is_lite([TOOLS])
    assert is_lite([{"type": Raw(b'"additional_tools"')}])
    assert not is_lite([])
    assert not is_lite([message("user", "x"), raw])


def test_tools_and_instructions_become_items():
    """Before the input; what Lite fixes is fixed."""
    fields = {"tools": Raw(b'[{"type":"custom"}]'), "reasoning": Raw(b'{"effort":"low"}')}
    changes = to_lite(fields, [message("user", "x")], "Be brief.")
    assert (changes["tools"], changes["instructions"]) == (UNSET, UNSET)
    assert changes["parallel_tool_calls"] == Raw(b"false")
    assert json.loads(msgspec.json.encode(changes["reasoning"])) == {
        "effort": "low",
        "context": "all_turns",
    }
    assert json.loads(msgspec.json.encode(changes["input"])) == [
        {**TOOLS, "tools": [{"type": "custom"}]},
        message("developer", "Be brief."),
        message("user", "x"),
    ]


def test_the_tools_item_is_there_without_tools():
    """Blank instructions are none; null is nothing; what was made here is taken as it is."""
    for fields in ({}, {"tools": Raw(b"null"), "reasoning": Raw(b"null")}):
        changes = to_lite(fields, [], " ")
        assert changes["input"] == [TOOLS]
        assert changes["reasoning"] == {"context": "all_turns"}
    made = to_lite({"tools": [{"a": 1}], "reasoning": {"effort": "max"}}, [], None)
    assert made["input"] == [{**TOOLS, "tools": [{"a": 1}]}]
    assert made["reasoning"] == {"effort": "max", "context": "all_turns"}


def test_a_first_item_that_can_be_no_item_is_refused():
    """Its place is told."""
    with pytest.raises(InvalidRequest) as caught:
        is_lite([Raw(b'{"type":{}}')])
    assert caught.value.param == "input[0].type"
