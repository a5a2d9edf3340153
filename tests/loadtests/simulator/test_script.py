"""What the simulated model answers, without a socket."""

import orjson
import pytest

from loadtests.simulator.ask import Ask, Tool, from_chat, from_responses
from loadtests.simulator.config import Knobs
from loadtests.simulator.items import (
    Compaction,
    CustomToolCall,
    FunctionCall,
    Image,
    LocalShellCall,
    Message,
    Reasoning,
    WebSearch,
)
from loadtests.simulator.schema import instance
from loadtests.simulator.script import SHELL_COMMAND, Setting, answer

SETTING = Setting(1, "acct-1", "plus", "gpt-5.5", "http", 12.0, 3)
WEATHER = Tool(
    "function",
    "get_weather",
    {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 2}},
        "required": ["city", "days"],
    },
)


def said(text: str = "", **fields) -> list:
    """Return the items that answer a text."""
    return answer(Ask(text=text, ends_with_user=True, **fields), Knobs(), SETTING)


def test_weather_calls_the_weather_tool():
    """With arguments that fit the schema."""
    other = Tool("function", "other")
    (item,) = said("What is the weather?", tools=[other, WEATHER])
    assert item == FunctionCall(name="get_weather", arguments={"city": "Oslo", "days": 2})


def test_a_required_choice_forces_a_call():
    """`required` takes the first function, a name takes that one, `none` takes no tool."""
    other = Tool("function", "other")
    assert said("hi", tools=[other, WEATHER], choice="required")[0].name == "other"
    assert said("hi", tools=[other, WEATHER], choice="get_weather")[0].name == "get_weather"
    assert isinstance(said("weather", tools=[WEATHER], choice="none")[0], Message)


def test_parallel_calls_every_function():
    """When the text says so and the request allows it."""
    tools = [WEATHER, Tool("function", "other")]
    names = [item.name for item in said("use tools in parallel", tools=tools)]
    assert names == ["get_weather", "other"]
    assert len(said("use tools in parallel", tools=tools, parallel=False)) == 1


@pytest.mark.parametrize(
    ("name", "schema", "arguments"),
    [
        (
            "shell",
            {"properties": {"command": {"type": "array", "items": {"type": "string"}}}},
            {"command": ["bash", "-lc", SHELL_COMMAND]},
        ),
        ("shell_command", {"properties": {"command": {"type": "string"}}},
         {"command": SHELL_COMMAND}),
        (
            "exec_command",
            {
                "properties": {"cmd": {"type": "string"}, "yield_time_ms": {"type": "number"}},
                "required": ["cmd", "yield_time_ms"],
            },
            {"cmd": SHELL_COMMAND, "yield_time_ms": 10_000},
        ),
    ],
)  # fmt: skip
def test_run_uses_the_shell_of_the_codex_cli(name, schema, arguments):
    """Whatever the tool is called and whatever its schema wants."""
    tool = Tool("function", name, {"type": "object", **schema})
    (item,) = said("please run something", tools=[tool])
    assert item == FunctionCall(name=name, arguments=arguments)


def test_the_built_in_shell_gets_its_own_item():
    """`local_shell` has no schema."""
    (item,) = said("run it", tools=[Tool("local_shell", "local_shell")])
    assert item == LocalShellCall(command=["echo", "hello-from-codex2api"])


def test_the_final_message_quotes_the_output():
    """After a tool's output the text contains it, and no tool is called again."""
    (item,) = said("run it", tools=[WEATHER], outputs=["hello-from-codex2api\n"])
    assert "hello-from-codex2api" in item.text


def test_hosted_tools_and_free_form_tools():
    """Search, draw, patch."""
    search, message = said("search for it", tools=[Tool("web_search", "web_search")])
    assert isinstance(search, WebSearch)
    assert message.annotations
    (picture,) = said("draw a fjord", tools=[Tool("image_generation", "image_generation")])
    assert isinstance(picture, Image)
    (patch,) = said("use apply patch", tools=[Tool("custom", "apply_patch")])
    assert isinstance(patch, CustomToolCall)
    assert patch.input.startswith("*** Begin Patch")


def test_text_scripts():
    """Echo, images, compaction, reasoning by effort."""
    assert said("[[sim {}]] echo: as is") == [Message(text="as is")]
    assert said("look", image_sizes=[68])[0].text == "I see an image of 68 bytes."
    assert isinstance(said("x", compaction=True)[0], Compaction)
    assert isinstance(said("x", effort="high")[0], Reasoning)
    assert isinstance(said("x", effort="minimal")[0], Message)


def test_the_demo_tells_what_happened():
    """Readable prose with the account in it."""
    (item,) = answer(Ask(text="Why is the sky blue?"), Knobs(style="demo"), SETTING)
    assert "acct-1" in item.text
    assert "Why is the sky blue?" in item.text


def test_a_schema_gets_an_instance():
    """References, unions, enums, bounds and nesting."""
    schema = {
        "type": "object",
        "$defs": {"tag": {"type": "string", "enum": ["red", "blue"]}},
        "properties": {
            "tag": {"$ref": "#/$defs/tag"},
            "maybe": {"anyOf": [{"type": "null"}, {"type": "integer", "maximum": 3}]},
            "list": {"type": "array", "minItems": 2, "items": {"type": "boolean"}},
            "deep": {
                "allOf": [
                    {"properties": {"a": {"const": 1}}, "required": ["a"]},
                    {"properties": {"b": {"type": ["string", "null"], "maxLength": 2}},
                     "required": ["b"]},
                ]
            },
        },
        "required": ["tag", "maybe", "list", "deep"],
    }  # fmt: skip
    assert instance(schema) == {
        "tag": "red",
        "maybe": 3,
        "list": [True, True],
        "deep": {"a": 1, "b": "b"},
    }
    text = answer(Ask(json_schema=schema), Knobs(), SETTING)[0].text
    assert orjson.loads(text) == instance(schema)


def test_facts_are_read_from_a_responses_body():
    """Tools of the Lite dialect, outputs, images, formats."""
    body = {
        "input": [
            {"type": "additional_tools", "tools": [{"type": "function", "name": "f"}]},
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "see"},
                    {"type": "input_image", "image_url": "data:image/png;base64,QUJD"},
                ],
            },
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "done"},
        ],
        "reasoning": {"effort": "low"},
        "parallel_tool_calls": False,
        "tool_choice": {"type": "function", "name": "f"},
        "text": {"format": {"type": "json_schema", "schema": {"type": "object"}}},
    }
    ask = from_responses(body)
    assert (ask.text, ask.image_sizes, ask.outputs) == ("see", [3], ["done"])
    assert (ask.choice, ask.parallel, ask.effort) == ("f", False, "low")
    assert [tool.name for tool in ask.tools] == ["f"]
    assert ask.json_schema == {"type": "object"}


def test_facts_are_read_from_a_chat_body():
    """Tool messages become outputs."""
    body = {
        "messages": [
            {"role": "user", "content": "go"},
            {"role": "assistant", "tool_calls": []},
            {"role": "tool", "tool_call_id": "c", "content": "42"},
        ],
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "response_format": {"type": "json_object"},
    }
    ask = from_chat(body)
    assert (ask.text, ask.outputs, ask.json_object) == ("go", ["42"], True)


@pytest.mark.parametrize("body", [{}, {"input": 5}, {"input": [None, 3]}, {"tools": "x"}])
def test_nonsense_gives_an_empty_ask(body):
    """Never an exception."""
    assert from_responses(body).text == ""
    assert from_chat(body).text == ""
