"""What is wrong, in the caller's words."""

import msgspec
import pytest

from app.dialects.chat.requests import decode
from app.dialects.chat.schema import CustomSpec
from app.dialects.chat.violations import (
    missing_field,
    read,
    unsupported_field,
    unsupported_value,
    violation,
)
from app.errors import InvalidRequest

USER = {"role": "user", "content": "Hi"}


def with_parts(*parts):
    """Return messages of one user message with `parts`."""
    return {"messages": [{"role": "user", "content": list(parts)}]}


WRONG = [
    ({"model": 5}, "model", "expected a string, but got an integer"),
    ({"model": ""}, "model", "length >= 1"),
    ({"messages": []}, "messages", "an array of length >= 1"),
    ({"messages": "Hi"}, "messages", "expected an array or null, but got a string"),
    ({"messages": [USER, 5]}, "messages[1]", "expected an object, but got an integer"),
    ({"messages": [{"content": "Hi"}]}, "messages[0].role", "Missing required parameter"),
    ({"messages": [{"role": 5}]}, "messages[0].role", "expected a string"),
    ({"messages": [{"role": "boss"}]}, "messages[0].role", "system, developer, user"),
    ({"messages": [{"role": "user"}]}, "messages[0].content", "Missing required parameter"),
    ({"messages": [{"role": "user", "content": None}]}, "messages[0].content", "got null"),
    ({"messages": [{"role": "user", "content": 3}]}, "messages[0].content", "a string or an array"),
    (with_parts(), "messages[0].content", "length >= 1"),
    (with_parts({"type": "video"}), "messages[0].content[0].type", "input_audio"),
    (with_parts({"text": "x"}), "messages[0].content[0].type", "Missing required parameter"),
    (with_parts({"type": "text"}), "messages[0].content[0].text", "Missing required parameter"),
    (with_parts({"type": "text", "text": 5}), "messages[0].content[0].text", "a string"),
    (
        with_parts({"type": "image_url", "image_url": "http://x"}),
        "messages[0].content[0].image_url",
        "expected an object",
    ),
    (
        with_parts({"type": "text", "text": ""}, {"type": "image_url", "image_url": {"url": "x"}}),
        "messages[0].content[1].image_url.url",
        "http(s) URL or a data URL",
    ),
    (
        with_parts({"type": "image_url", "image_url": {"url": "http://x", "detail": "all"}}),
        "messages[0].content[0].image_url.detail",
        "auto, low, high",
    ),
    (
        with_parts({"type": "input_audio", "input_audio": {"data": "", "format": "au"}}),
        "messages[0].content[0].input_audio.format",
        "wav, mp3",
    ),
    (
        {"messages": [{"role": "system", "content": [{"type": "image_url"}]}]},
        "messages[0].content[0].type",
        "'image_url'",
    ),
    (
        {"messages": [{"role": "assistant", "tool_calls": [{"id": "", "function": {}}]}]},
        "messages[0].tool_calls[0].id",
        "length >= 1",
    ),
    (
        {"messages": [{"role": "assistant", "tool_calls": [{"id": "c", "type": "x"}]}]},
        "messages[0].tool_calls[0].type",
        "function, custom",
    ),
    (
        {
            "messages": [
                {
                    "role": "assistant",
                    "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": {}}}],
                }
            ]
        },
        "messages[0].tool_calls[0].function.arguments",
        "expected a string, but got an object",
    ),
    ({"messages": [{"role": "tool", "content": ""}]}, "messages[0].tool_call_id", "Missing"),
    ({"temperature": 2.1}, "temperature", "a number <= 2"),
    ({"temperature": -0.1}, "temperature", "a number >= 0"),
    ({"temperature": "hot"}, "temperature", "expected a number or null"),
    ({"temperature": True}, "temperature", "got a boolean"),
    ({"top_p": 1.5}, "top_p", "<= 1"),
    ({"presence_penalty": -3}, "presence_penalty", ">= -2"),
    ({"frequency_penalty": 3}, "frequency_penalty", "<= 2"),
    ({"n": 0}, "n", ">= 1"),
    ({"n": 129}, "n", "<= 128"),
    ({"n": 1.5}, "n", "expected an integer"),
    ({"max_tokens": 0}, "max_tokens", ">= 1"),
    ({"max_completion_tokens": -1}, "max_completion_tokens", ">= 1"),
    ({"seed": "x"}, "seed", "expected an integer"),
    ({"stop": 5}, "stop", "a string"),
    ({"stop": ["a"] * 5}, "stop", "length <= 4"),
    ({"stop": ["a", 5]}, "stop[1]", "a string"),
    ({"stream": "yes"}, "stream", "a boolean"),
    ({"stream_options": True}, "stream_options", "an object"),
    ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage", "a boolean"),
    ({"logit_bias": {"5": 200}}, "logit_bias", "<= 100"),
    ({"logit_bias": {"5": "x"}}, "logit_bias", "a number"),
    ({"logprobs": 1}, "logprobs", "a boolean"),
    ({"top_logprobs": 21}, "top_logprobs", "<= 20"),
    ({"user": 5}, "user", "a string"),
    ({"store": "no"}, "store", "a boolean"),
    ({"metadata": {"a": 1}}, "metadata", "a string"),
    ({"metadata": {"a" * 65: "x"}}, "metadata", "length <= 64"),
    ({"metadata": {str(i): "" for i in range(17)}}, "metadata", "length <= 16"),
    ({"parallel_tool_calls": "no"}, "parallel_tool_calls", "a boolean"),
    ({"tools": {}}, "tools", "an array"),
    ({"tools": [{}] * 129}, "tools", "length <= 128"),
    ({"tools": [5]}, "tools[0]", "an object"),
    ({"tool_choice": 5}, "tool_choice", "a string"),
    ({"functions": [{"name": "a b"}]}, "functions[0].name", "letters, digits"),
    ({"functions": [{"name": "f\n"}]}, "functions[0].name", "letters, digits"),
    ({"response_format": "json"}, "response_format", "an object"),
    ({"response_format": {}}, "response_format.type", "Missing"),
    ({"response_format": {"type": "xml"}}, "response_format.type", "json_schema"),
    (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "n"}}},
        "response_format.json_schema.schema",
        "Missing",
    ),
    (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "", "schema": {}}}},
        "response_format.json_schema.name",
        "letters, digits",
    ),
    ({"reasoning_effort": "huge"}, "reasoning_effort", "none, minimal, low"),
    ({"verbosity": "loud"}, "verbosity", "low, medium, high"),
    ({"service_tier": "gold"}, "service_tier", "auto, default"),
    ({"modalities": ["smell"]}, "modalities[0]", "text, audio"),
    ({"prediction": {"type": "x", "content": ""}}, "prediction.type", "content"),
    ({"audio": True}, "audio", "an object"),
    (
        {"web_search_options": {"search_context_size": "x"}},
        "web_search_options.search_context_size",
        "low, medium",
    ),
    ({"prompt_cache_key": 5}, "prompt_cache_key", "a string"),
]


@pytest.mark.parametrize(("fields", "param", "said"), WRONG)
def test_a_wrong_field_is_named_with_what_was_expected(fields, param, said):
    """Its path is the `param`, and the message says what would have been right."""
    body = msgspec.json.encode({"model": "m", "messages": [USER]} | fields)
    with pytest.raises(InvalidRequest) as caught:
        decode(body)
    assert caught.value.param == param
    assert said in caught.value.message
    assert (caught.value.status, caught.value.code) == (400, "invalid_request")
    assert "`" not in caught.value.message


def test_a_missing_model_is_named():
    """The path of a field at the top is its name."""
    with pytest.raises(InvalidRequest) as caught:
        decode(b"{}")
    assert caught.value.param == "model"


def test_a_body_that_is_no_object_has_no_param():
    """There is no field to name."""
    with pytest.raises(InvalidRequest) as caught:
        decode(b"[]")
    assert caught.value.param is None
    assert "JSON object" in caught.value.message


def test_a_long_value_is_quoted_in_part():
    """An error must not carry a megabyte back."""
    error = unsupported_value("verbosity", "x" * 1000)
    assert len(error.message) < 200
    assert "x..." in error.message


def test_a_value_can_hold_what_looks_like_a_path():
    """The path is the last thing in the report."""
    body = msgspec.json.encode(
        {"model": "m", "messages": [USER], "verbosity": "a - at `$.model` b"}
    )
    with pytest.raises(InvalidRequest) as caught:
        decode(body)
    assert caught.value.param == "verbosity"
    assert "'a - at `$.model` b'" in caught.value.message


def test_a_part_of_the_request_is_read_with_its_place():
    """The param is the whole path."""
    assert read({"name": "n"}, CustomSpec, at="tools[3].custom") == CustomSpec("n")
    with pytest.raises(InvalidRequest) as caught:
        read({"name": 5}, CustomSpec, at="tools[3].custom")
    assert caught.value.param == "tools[3].custom.name"
    with pytest.raises(InvalidRequest) as caught:
        read(5, CustomSpec, at="tools[3].custom")
    assert caught.value.param == "tools[3].custom"


def test_words_that_are_not_known_here_stay():
    """A report of a newer msgspec is passed on rather than lost."""
    error = violation(msgspec.ValidationError("Expected `uuid`, got `blob` - at `$.a`"))
    assert error.message == "Invalid type for 'a': expected uuid, but got blob instead."
    error = violation(msgspec.ValidationError("Wants `uuid` now - at `$.a`"))
    assert error.message == "Invalid value for 'a': wants `uuid` now."


def test_a_missing_and_an_unsupported_field_are_named():
    """The second has a code of its own."""
    assert missing_field("a.b").param == "a.b"
    error = unsupported_field("n", "Why.")
    assert (error.param, error.code) == ("n", "unsupported_parameter")
    assert error.message.endswith("Why.")
    assert unsupported_value("x", "y").message == "Invalid value for 'x': 'y'."
