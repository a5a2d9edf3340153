"""Requests are checked while they are read."""

import pytest

from app.errors import InvalidRequest
from tests.dialects.messages.asking import request


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages[0].content"),
        (
            {"messages": [{"role": "user", "content": [{"type": "x"}]}]},
            "messages[0].content[0].type",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "messages[0].content[0].text",
        ),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"temperature": 1.5}, "temperature"),
        ({"thinking": {"type": "often"}}, "thinking.type"),
        ({"tool_choice": {"type": "some"}}, "tool_choice.type"),
        ({"output_config": {"effort": "huge"}}, "output_config.effort"),
        ({"stop_sequences": "END"}, "stop_sequences"),
        ({"system": [{"type": "image"}]}, "system[0].type"),
    ],
)
def test_what_is_wrong_is_named(fields, param):
    """By its path."""
    with pytest.raises(InvalidRequest) as caught:
        request(**fields)
    assert caught.value.param == param


def test_what_is_unknown_is_skipped():
    """Fields of tomorrow, wherever they stand."""
    block = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}, "new": 1}
    asked = request(
        ("user", [block]), betas=["x"], context_management={}, thinking={"type": "adaptive", "y": 1}
    )
    assert asked.messages[0].content[0].text == "x"
