"""Tools and the choice among them."""

import pytest

from app.errors import InvalidRequest
from tests.dialects.messages.asking import upstream

OWN = {"name": "mine", "input_schema": {"type": "object"}}
SEARCH = {"type": "web_search_20250305", "name": "web_search"}
LONG = {"name": "n" * 100, "input_schema": {"type": "object"}}


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"type": "auto"}, "auto"),
        ({"type": "any"}, "required"),
        ({"type": "none"}, "none"),
        ({"type": "tool", "name": "mine"}, {"type": "function", "name": "mine"}),
        ({"type": "tool", "name": "web_search"}, {"type": "web_search"}),
    ],
)
def test_a_choice_is_said(choice, said):
    """In Responses' words."""
    body = upstream(tools=[OWN, SEARCH], tool_choice=choice)
    assert body["tool_choice"] == said
    assert "parallel_tool_calls" not in body


def test_parallel_calls_can_be_switched_off():
    """With any choice."""
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    assert upstream(tools=[OWN], tool_choice=choice)["parallel_tool_calls"] is False


def test_a_long_name_is_shortened_in_the_choice_too():
    """The same way."""
    body = upstream(tools=[LONG], tool_choice={"type": "tool", "name": LONG["name"]})
    assert body["tool_choice"]["name"] == body["tools"][0]["name"]
    assert len(body["tools"][0]["name"]) == 64


@pytest.mark.parametrize("choice", [None, {"type": "auto"}, {"type": "none"}])
def test_no_tools_is_no_field(choice):
    """Whatever is chosen among none."""
    assert not {"tools", "tool_choice"} & upstream(tools=[], tool_choice=choice).keys()


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [{"input_schema": {}}]}, "tools[0].name"),
        ({"tools": [{"name": "a b", "input_schema": {}}]}, "tools[0].name"),
        ({"tools": [{"name": "a"}]}, "tools[0].input_schema"),
        ({"tools": [{"name": "a", "input_schema": []}]}, "tools[0].input_schema"),
        (
            {"tools": [{"name": "a", "input_schema": {"type": "array"}}]},
            "tools[0].input_schema.type",
        ),
        (
            {"tools": [{"name": "a", "input_schema": {"properties": 3}}]},
            "tools[0].input_schema.properties",
        ),
        (
            {"tools": [{"name": "a", "input_schema": {"required": "x"}}]},
            "tools[0].input_schema.required",
        ),
        ({"tools": [OWN, OWN]}, "tools[1].name"),
        ({"tools": [OWN] * 129}, "tools"),
        ({"tools": [{"type": 3, "name": "a"}]}, "tools[0].type"),
        (
            {"tools": [{"type": "code_execution_20250825", "name": "code_execution"}]},
            "tools[0].type",
        ),
        ({"tools": [{"type": "computer_20250124", "name": "computer"}]}, "tools[0].type"),
        ({"tools": [{"type": "web_fetch_20250910", "name": "web_fetch"}]}, "tools[0].type"),
        ({"tools": [SEARCH | {"blocked_domains": ["x.org"]}]}, "tools[0].blocked_domains"),
        ({"tools": [SEARCH | {"allowed_domains": "x.org"}]}, "tools[0].allowed_domains"),
        ({"tool_choice": {"type": "any"}}, "tool_choice"),
        ({"tools": [OWN], "tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"tools": [OWN], "tool_choice": {"type": "tool", "name": "other"}}, "tool_choice.name"),
    ],
)
def test_an_impossible_tool_is_refused_by_name(fields, param):
    """Before an account is touched."""
    with pytest.raises(InvalidRequest) as caught:
        upstream(**fields)
    assert caught.value.param == param
