"""What is asked for beside words and tools."""

import msgspec
import pytest

from app.dialects.chat import options
from app.dialects.chat.requests import decode
from app.errors import InvalidRequest

LEVELS = ("low", "medium", "high", "xhigh")
SCHEMA = {"type": "object", "properties": {"a": {"type": "string", "format": "date"}}}


def request(**fields):
    """Return a request with `fields`."""
    messages = [{"role": "user", "content": "Hi"}]
    return decode(msgspec.json.encode({"model": "m", "messages": messages} | fields))


def reasoning(efforts=LEVELS, **fields):
    """Return the reasoning object of a request with `fields`."""
    return options.reasoning(request(**fields), model="m", efforts=efforts)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"logprobs": True, "top_logprobs": 3}, "logprobs"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"audio": {"voice": "x", "format": "wav"}}, "audio"),
    ],
)
def test_what_can_not_be_given_is_refused_with_the_reason(fields, param):
    """The code says that the field is at fault, the message what to do."""
    with pytest.raises(InvalidRequest) as caught:
        options.refuse_unsupported(request(**fields))
    assert (caught.value.param, caught.value.code) == (param, "unsupported_parameter")
    assert "leave it out" in caught.value.message


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"stream_options": {}}, "stream_options"),
        ({"stream_options": {"include_usage": True}, "stream": False}, "stream_options"),
        ({"top_logprobs": 3}, "top_logprobs"),
    ],
)
def test_what_needs_another_field_is_refused_without_it(fields, param):
    """As the public API does."""
    with pytest.raises(InvalidRequest) as caught:
        options.refuse_unsupported(request(**fields))
    assert caught.value.param == param


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 1, "logprobs": False, "top_logprobs": 0, "modalities": ["text"], "audio": None},
        {"stream": True, "stream_options": {"include_usage": True}},
        {"temperature": 0.5, "top_p": 1, "seed": 1, "stop": ["x"], "max_tokens": 5, "user": "u"},
    ],
)
def test_what_only_tunes_is_not_refused(fields):
    """The answer is a good one without it."""
    options.refuse_unsupported(request(**fields))


def test_a_summary_is_always_asked_for():
    """So that the thinking can be shown."""
    assert reasoning() == {"summary": "auto"}


@pytest.mark.parametrize("efforts", [LEVELS, None])
def test_an_effort_of_the_model_is_copied(efforts):
    """Any effort passes if the model's aren't known."""
    assert reasoning(efforts, reasoning_effort="high") == {"summary": "auto", "effort": "high"}


def test_an_effort_that_the_model_does_not_have_is_refused_with_those_it_has():
    """Nothing is rounded in silence."""
    with pytest.raises(InvalidRequest) as caught:
        reasoning(reasoning_effort="minimal")
    assert caught.value.param == "reasoning_effort"
    assert "low, medium, high, xhigh" in caught.value.message
    with pytest.raises(InvalidRequest) as caught:
        reasoning((), reasoning_effort="low")
    assert "does not support" in caught.value.message


def test_ultra_is_max_on_the_wire():
    """It is a client's word, and only some models have it."""
    assert reasoning(None, reasoning_effort="ultra")["effort"] == "max"
    assert reasoning((*LEVELS, "max", "ultra"), reasoning_effort="ultra")["effort"] == "max"
    assert reasoning((*LEVELS, "max"), reasoning_effort="max")["effort"] == "max"
    for effort in ("max", "ultra"):
        with pytest.raises(InvalidRequest):
            reasoning(reasoning_effort=effort)


def test_the_reasoning_object_of_responses_is_understood():
    """The field of chat wins; what is of a strange form is unknown, so it passes."""
    both = {"reasoning": {"effort": "low", "summary": "detailed"}}
    assert reasoning(**both) == {"summary": "detailed", "effort": "low"}
    assert reasoning(**both, reasoning_effort="high")["effort"] == "high"
    assert reasoning(reasoning={"effort": 5, "summary": None}) == {"summary": "auto"}
    assert reasoning(reasoning="hard") == {"summary": "auto"}
    with pytest.raises(InvalidRequest) as caught:
        reasoning(None, reasoning={"effort": "huge"})
    assert caught.value.param == "reasoning.effort"


@pytest.mark.parametrize(
    ("fields", "effort"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 5}}, "medium"),
        ({"enable_thinking": True}, "medium"),
        ({"thinking": {"type": "disabled"}}, None),
        ({"thinking": "yes", "enable_thinking": False}, None),
        ({"enable_thinking": True, "reasoning_effort": "low"}, "low"),
    ],
)
def test_a_switch_for_thinking_is_a_medium_effort(fields, effort):
    """Unless there is an effort."""
    assert reasoning(**fields).get("effort") == effort


def test_a_switch_for_thinking_needs_a_model_that_thinks():
    """It asks for more thought where there is some; it is no error where there isn't."""
    assert reasoning(("low",), enable_thinking=True) == {"summary": "auto"}
    assert reasoning(None, enable_thinking=True)["effort"] == "medium"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, {}),
        ({"response_format": {"type": "text"}}, {}),
        ({"verbosity": "low"}, {"verbosity": "low"}),
        ({"response_format": {"type": "json_object"}}, {"format": {"type": "json_object"}}),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "n", "schema": SCHEMA},
                }
            },
            {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}},
        ),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {
                        "name": "n",
                        "schema": SCHEMA,
                        "strict": True,
                        "description": "D",
                    },
                }
            },
            {
                "format": {
                    "type": "json_schema",
                    "name": "n",
                    "schema": SCHEMA,
                    "description": "D",
                    "strict": True,
                }
            },
        ),
    ],
)
def test_the_form_of_the_answer_is_said_flat(fields, said):
    """The schema is the caller's, unchanged: the answer is held against it."""
    assert options.text(request(**fields)) == said


def test_a_schema_that_is_promised_must_be_there():
    """Or there is nothing to follow."""
    with pytest.raises(InvalidRequest) as caught:
        options.text(request(response_format={"type": "json_schema"}))
    assert caught.value.param == "response_format.json_schema"


@pytest.mark.parametrize(
    "item",
    [
        {"content": "as Json"},
        {"content": [5, {"text": None}, {"text": "in JSON please"}]},
    ],
)
def test_the_word_json_is_not_said_twice(item):
    """Any message that has it will do."""
    assert options.with_json_word([item]) == [item]


@pytest.mark.parametrize(
    "item", [{"type": "function_call"}, {"content": "x"}, {"content": [{"text": "x"}]}]
)
def test_the_word_json_is_said_first_if_it_is_missing(item):
    """The upstream refuses the format without it."""
    line, rest = options.with_json_word([item])
    assert rest == item
    assert line["role"] == "developer"
    assert "JSON" in line["content"][0]["text"]


@pytest.mark.parametrize(
    ("tier", "said"),
    [("fast", "priority"), ("priority", "priority"), ("flex", None), ("auto", None), (None, None)],
)
def test_only_the_fast_tier_is_asked_for(tier, said):
    """The others are the upstream's default."""
    assert options.service_tier(request(service_tier=tier)) == said
