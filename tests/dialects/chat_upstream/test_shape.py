"""What the translation to chat relies on is checked with its place, and nothing else is."""

import json

import pytest

from app.dialects.chat_upstream.requests import to_chat
from app.dialects.chat_upstream.shape import check
from app.errors import InvalidRequest

ODD = {"a": 1}


@pytest.mark.parametrize(
    ("said", "param"),
    [
        ({"input": 5}, "input"),
        ({"input": [5]}, "input[0]"),
        ({"input": [{"type": ODD}]}, "input[0].type"),
        ({"input": [{"role": ODD, "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": [5]}]}, "input[0].content[0]"),
        ({"input": [{"role": "user", "content": [{"type": ODD}]}]}, "input[0].content[0].type"),
        ({"input": [{"type": "function_call_output", "call_id": ODD}]}, "input[0].call_id"),
        ({"input": [{"type": "function_call_output", "output": [5]}]}, "input[0].output[0]"),
        ({"input": [{"type": "additional_tools", "tools": [5]}]}, "input[0].tools[0]"),
        ({"tools": [5]}, "tools[0]"),
        ({"tools": [{"type": "custom", "name": ODD}]}, "tools[0].name"),
        ({"tool_choice": 5}, "tool_choice"),
        ({"tool_choice": {"type": "allowed_tools", "tools": [5]}}, "tool_choice.tools[0]"),
        ({"text": {"format": 5}}, "text.format"),
        ({"reasoning": {"effort": ODD}}, "reasoning.effort"),
        ({"instructions": ODD}, "instructions"),
    ],
)
def test_another_type_is_refused_with_its_place(said, param):
    """It would end inside the translation, as an error of the gateway's."""
    body = json.dumps({"input": []} | said).encode()
    with pytest.raises(InvalidRequest) as caught:
        to_chat(body, b"", model="m", platform=False)
    assert caught.value.param == param


@pytest.mark.parametrize(
    "item",
    [
        {},
        {"type": None, "role": None, "content": None},
        {"type": "web_search_call", "action": 5, "queries": [ODD]},
        {"type": "computer_call_output", "output": ODD},
        {"type": "reasoning", "summary": 5, "content": None, "encrypted_content": ODD},
        {"role": "user", "content": [{"type": "input_file", "file_data": ODD}]},
    ],
)
def test_what_is_unknown_may_be_anything(item):
    """It is passed on, or left out; neither needs to be read."""
    check({"input": [item], "tools": [{"parameters": 5}], "odd": ODD})
