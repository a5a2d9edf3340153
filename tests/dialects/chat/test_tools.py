"""Tools and the choice among them."""

import msgspec
import pytest

from app.dialects.chat.requests import decode
from app.dialects.chat.tools import tool_choice, toolbox
from app.errors import InvalidRequest

NO_PARAMETERS = {"type": "object", "properties": {}}
LONG = "mcp__a_server_with_quite_a_long_name__a_tool_with_an_even_longer_name"


def request(**fields):
    """Return a request with `fields`."""
    messages = [{"role": "user", "content": "Hi"}]
    return decode(msgspec.json.encode({"model": "m", "messages": messages} | fields))


def box(**fields):
    """Return the toolbox of a request with `fields`."""
    return toolbox(request(**fields), known_types_only=True)


def choose(choice, *tools):
    """Return how `choice` among `tools` is said."""
    asked = request(tools=list(tools), tool_choice=choice)
    return tool_choice(asked, toolbox(asked, known_types_only=True).tools)


def function(name="f"):
    """Return a function as chat has it."""
    return {"type": "function", "function": {"name": name}}


def test_a_request_without_tools_has_none():
    """An empty list is no list."""
    assert box().tools == []
    assert box(tools=[]).tools == []


def test_a_function_is_said_flat():
    """`strict` is said even if it was not, as the two APIs default differently."""
    tool = {
        "type": "function",
        "function": {
            "name": "f",
            "description": "Does.",
            "parameters": {"type": "object", "properties": {"a": {"pattern": "x"}}},
            "strict": True,
        },
    }
    assert box(tools=[tool]).tools == [
        {
            "type": "function",
            "name": "f",
            "description": "Does.",
            "parameters": {"type": "object", "properties": {"a": {}}},
            "strict": True,
        }
    ]


@pytest.mark.parametrize(
    "tool",
    [
        {"type": "function", "function": {"name": "f"}},
        {"function": {"name": "f", "strict": None, "parameters": None}},
        {"type": "function", "name": "f"},
        {"name": "f"},
    ],
)
def test_a_function_may_come_in_any_form(tool):
    """Nested, flat, with and without its type."""
    assert box(tools=[tool]).tools == [
        {"type": "function", "name": "f", "parameters": NO_PARAMETERS, "strict": False}
    ]


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({}, {}),
        ({"format": {"type": "text"}}, {"format": {"type": "text"}}),
        (
            {"format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}}},
            {"format": {"type": "grammar", "syntax": "lark", "definition": "x"}},
        ),
        (
            {"format": {"type": "grammar", "syntax": "lark", "definition": "x"}},
            {"format": {"type": "grammar", "syntax": "lark", "definition": "x"}},
        ),
    ],
)
def test_a_custom_tool_is_said_flat(form, said):
    """Its grammar too, in either form."""
    flat = {"type": "custom", "name": "c", "description": "Does."} | said
    nested = {"type": "custom", "custom": {"name": "c", "description": "Does."} | form}
    assert box(tools=[nested]).tools == [flat]
    assert box(tools=[{"type": "custom", "name": "c", "description": "Does."} | form]).tools == [
        flat
    ]


@pytest.mark.parametrize("kind", ["web_search", "web_search_preview", "web_search_2025_08_26"])
def test_web_search_has_one_name(kind):
    """Its options are copied; the location is flat."""
    tool = {
        "type": kind,
        "search_context_size": "low",
        "user_location": {"type": "approximate", "approximate": {"city": "Oslo"}},
        "filters": {"allowed_domains": ["example.org"]},
    }
    assert box(tools=[tool]).tools == [
        {
            "type": "web_search",
            "search_context_size": "low",
            "user_location": {"type": "approximate", "city": "Oslo"},
            "filters": {"allowed_domains": ["example.org"]},
        }
    ]


def test_web_search_options_are_a_tool():
    """Unless there is one already."""
    options = {
        "search_context_size": "high",
        "user_location": {"type": "approximate", "city": "Oslo"},
    }
    assert box(web_search_options={}).tools == [{"type": "web_search"}]
    assert box(web_search_options=options).tools == [{"type": "web_search"} | options]
    tools = [{"type": "web_search_preview"}]
    assert box(web_search_options=options, tools=tools).tools == [{"type": "web_search"}]


def test_a_hosted_tool_passes_as_it_is():
    """It is Responses' already."""
    tool = {"type": "image_generation", "size": "auto"}
    assert box(tools=[tool]).tools == [tool]


def test_all_fields_together_may_hold_as_many_as_the_upstream_takes():
    """Each of them alone is within the limit."""
    with pytest.raises(InvalidRequest) as caught:
        box(tools=[function()] * 128, web_search_options={})
    assert caught.value.param == "tools"
    assert "129" in caught.value.message


def test_an_unknown_type_is_refused_or_left_to_the_upstream():
    """In a Responses body it may be a tool that is new."""
    asked = request(tools=[function(), {"type": "teleport"}])
    with pytest.raises(InvalidRequest) as caught:
        toolbox(asked, known_types_only=True)
    assert caught.value.param == "tools[1].type"
    assert "custom" in caught.value.message
    assert toolbox(asked, known_types_only=False).tools[1] == {"type": "teleport"}


def test_a_long_name_is_shortened_and_remembered():
    """Only where it differs."""
    toolbox = box(tools=[function(LONG), function("f")])
    short = toolbox.tools[0]["name"]
    assert len(short) == 64
    assert toolbox.names == {short: LONG}
    assert choose({"type": "function", "function": {"name": LONG}}, function(LONG)) == {
        "type": "function",
        "name": short,
    }


def test_functions_of_old_are_tools():
    """The answer has the old form only if there are no tools beside them."""
    old = box(functions=[{"name": "f"}])
    assert old.legacy
    assert old.tools[0]["name"] == "f"
    mixed = box(functions=[{"name": "f"}], tools=[function("g")])
    assert not mixed.legacy
    assert [tool["name"] for tool in mixed.tools] == ["g", "f"]


@pytest.mark.parametrize(
    ("tool", "param"),
    [
        ({}, "tools[0].type"),
        ({"type": None}, "tools[0].type"),
        ({"type": 5}, "tools[0].type"),
        ({"type": "function"}, "tools[0].function"),
        ({"type": "function", "function": None}, "tools[0].function"),
        ({"type": "function", "function": {}}, "tools[0].function.name"),
        ({"type": "function", "function": {"name": "a b"}}, "tools[0].function.name"),
        (
            {"type": "function", "function": {"name": "f", "parameters": []}},
            "tools[0].function.parameters",
        ),
        ({"type": "function", "name": ""}, "tools[0].name"),
        ({"type": "custom"}, "tools[0].custom"),
        ({"type": "custom", "custom": {"name": "c", "format": "x"}}, "tools[0].custom.format"),
    ],
)
def test_a_tool_of_a_wrong_form_is_named(tool, param):
    """By the path of the field."""
    with pytest.raises(InvalidRequest) as caught:
        box(tools=[tool])
    assert caught.value.param == param


def test_no_choice_is_no_choice():
    """The upstream's default is the caller's."""
    assert choose(None, function()) is None


@pytest.mark.parametrize("word", ["none", "auto", "required"])
def test_a_word_is_copied(word):
    """All three mean the same upstream."""
    assert choose(word, function()) == word


def test_a_word_without_tools_says_nothing():
    """Unless it requires a call."""
    assert choose("auto") is None
    assert choose("none") is None
    with pytest.raises(InvalidRequest) as caught:
        choose("required")
    assert caught.value.param == "tool_choice"


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"type": "function", "function": {"name": "f"}}, {"type": "function", "name": "f"}),
        ({"function": {"name": "f"}}, {"type": "function", "name": "f"}),
        ({"type": "function", "name": "f"}, {"type": "function", "name": "f"}),
        ({"type": "custom", "custom": {"name": "c"}}, {"type": "custom", "name": "c"}),
        ({"type": "web_search_preview"}, {"type": "web_search"}),
        ({"type": "image_generation"}, {"type": "image_generation"}),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [function(), {"type": "web_search"}]},
            },
            {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "f"}, {"type": "web_search"}],
            },
        ),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [{"name": "f"}]},
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "f"}],
            },
        ),
    ],
)
def test_a_choice_is_said_flat(choice, said):
    """In whichever form it comes."""
    tools = [
        function(),
        {"type": "custom", "name": "c"},
        {"type": "web_search"},
        {"type": "image_generation"},
    ]
    assert choose(choice, *tools) == said


@pytest.mark.parametrize(
    ("choice", "param"),
    [
        ("maybe", "tool_choice"),
        ({}, "tool_choice.type"),
        ({"type": "function"}, "tool_choice.function"),
        ({"type": "function", "function": {}}, "tool_choice.function.name"),
        ({"type": "function", "function": {"name": "g"}}, "tool_choice.function.name"),
        ({"type": "function", "name": "g"}, "tool_choice.name"),
        ({"type": "custom", "custom": {"name": "f"}}, "tool_choice.custom.name"),
        ({"type": "web_search"}, "tool_choice.type"),
        ({"type": "teleport"}, "tool_choice.type"),
        ({"type": "allowed_tools"}, "tool_choice.mode"),
        ({"type": "allowed_tools", "allowed_tools": 5}, "tool_choice.allowed_tools"),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "none", "tools": []}},
            "tool_choice.allowed_tools.mode",
        ),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [function("g")]}},
            "tool_choice.allowed_tools.tools[0].function.name",
        ),
    ],
)
def test_a_choice_that_is_none_is_named(choice, param):
    """Above all the choice of a tool that is not there."""
    with pytest.raises(InvalidRequest) as caught:
        choose(choice, function())
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("choice", "said"),
    [("auto", "auto"), ("none", "none"), ({"name": "f"}, {"type": "function", "name": "f"})],
)
def test_the_choice_of_old_is_said_anew(choice, said):
    """`function_call` is `tool_choice` by its first name."""
    asked = request(functions=[{"name": "f"}], function_call=choice)
    assert tool_choice(asked, toolbox(asked, known_types_only=True).tools) == said


def test_a_wrong_choice_of_old_is_named_by_its_old_name():
    """The caller must find the field."""
    asked = request(functions=[{"name": "f"}], function_call={"name": "g"})
    with pytest.raises(InvalidRequest) as caught:
        tool_choice(asked, toolbox(asked, known_types_only=True).tools)
    assert caught.value.param == "function_call.name"
