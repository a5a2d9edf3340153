"""A chat request, said in Responses."""

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dialects.chat import requests
from app.dialects.chat.requests import decode, to_responses
from app.errors import CallerError, InvalidRequest

USER = {"role": "user", "content": "Hi"}
TOOL = {"type": "function", "function": {"name": "f"}}
KEYS = st.sampled_from(
    ["model", "messages", "role", "content", "tools", "type", "function", "name", "input"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["user", "tool", "text", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


def call(efforts=None, cache_key=None, **fields):
    """Return the call of a request with `fields`."""
    body = {"model": "m", "messages": [USER]} | fields
    request = decode(msgspec.json.encode(body))
    return to_responses(request, upstream_model="up", efforts=efforts, cache_key=cache_key)


def upstream(**fields):
    """Return the upstream body of a request with `fields`."""
    return msgspec.json.decode(call(**fields).body)


def test_the_least_request_has_all_that_the_upstream_wants():
    """A stream, nothing stored, instructions, and reasoning that can be replayed."""
    assert upstream() == {
        "model": "up",
        "instructions": "",
        "input": [
            {
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "Hi"}],
            }
        ],
        "include": ["reasoning.encrypted_content"],
        "store": False,
        "stream": True,
        "reasoning": {"summary": "auto"},
    }


def test_what_the_backend_has_no_knob_for_is_dropped():
    """And so is what nobody knows."""
    dropped = {
        "temperature": 1,
        "top_p": 0.5,
        "max_tokens": 5,
        "max_completion_tokens": 5,
        "stop": "x",
        "seed": 1,
        "n": 1,
        "user": "u",
        "metadata": {"a": "b"},
        "logit_bias": {"1": -100},
        "presence_penalty": 1,
        "frequency_penalty": 1,
        "store": True,
        "prediction": {"type": "content", "content": "x"},
        "safety_identifier": "s",
        "prompt_cache_retention": "24h",
        "modalities": ["text"],
        "service_tier": "flex",
        "x_unknown": [1],
        "text": {"verbosity": "low"},
    }
    assert upstream(**dropped) == upstream()


def test_the_edge_learns_what_was_asked():
    """Beside the body."""
    asked = call(stream=True, stream_options={"include_usage": True}, prompt_cache_key="k")
    assert (asked.model, asked.stream, asked.include_usage) == ("m", True, True)
    assert asked.prompt_cache_key == "k"
    plain = call(stream_options=None)
    assert (plain.stream, plain.include_usage, plain.prompt_cache_key) == (False, False, None)
    assert not call(stream=True, stream_options={}).include_usage


def test_the_cache_key_of_the_gateway_goes_before_the_callers():
    """So that callers can be kept apart."""
    assert upstream(prompt_cache_key="k")["prompt_cache_key"] == "k"
    assert upstream(prompt_cache_key="k", cache_key="t-k")["prompt_cache_key"] == "t-k"


def test_the_order_of_fields_does_not_hang_on_the_callers():
    """The same request is the same bytes, for the prompt cache."""
    one = decode(b'{"model":"m","messages":[{"role":"user","content":"x"}],"verbosity":"low"}')
    two = decode(b'{"verbosity":"low","messages":[{"content":"x","role":"user"}],"model":"m"}')
    bodies = {to_responses(r, upstream_model="m", efforts=None).body for r in (one, two)}
    assert len(bodies) == 1


def test_tools_come_with_their_choice():
    """And without tools nothing is said of them."""
    body = upstream(tools=[TOOL], tool_choice="auto", parallel_tool_calls=False)
    assert body["tools"][0]["name"] == "f"
    assert body["tool_choice"] == "auto"
    assert body["parallel_tool_calls"] is False
    assert "parallel_tool_calls" not in upstream(tools=[TOOL])
    assert upstream(tools=[], tool_choice="auto", parallel_tool_calls=True) == upstream()


def test_functions_of_old_are_called_one_at_a_time():
    """The old answer holds one call."""
    asked = call(functions=[{"name": "f"}])
    assert asked.legacy_functions
    assert msgspec.json.decode(asked.body)["parallel_tool_calls"] is False


def test_json_mode_has_its_word():
    """Only that mode needs it."""
    body = upstream(response_format={"type": "json_object"})
    assert body["text"] == {"format": {"type": "json_object"}}
    assert [item["role"] for item in body["input"]] == ["developer", "user"]


def test_the_fast_tier_is_asked_for():
    """By the upstream's name for it."""
    assert upstream(service_tier="fast")["service_tier"] == "priority"


def test_a_responses_body_is_sent_on():
    """With the fields of both APIs."""
    body = upstream(
        messages=None,
        input="Hi",
        instructions="Be kind.",
        text={"verbosity": "low"},
        response_format={"type": "json_object"},
        tools=[{"type": "something_new"}],
        reasoning={"effort": "low"},
    )
    assert body["instructions"] == "Be kind."
    assert body["text"] == {"verbosity": "low", "format": {"type": "json_object"}}
    assert body["tools"] == [{"type": "something_new"}]
    assert body["reasoning"] == {"summary": "auto", "effort": "low"}
    assert len(body["input"]) == 2


def test_a_request_without_messages_is_refused():
    """And says which field is missing."""
    with pytest.raises(InvalidRequest) as caught:
        call(messages=None)
    assert caught.value.param == "messages"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b'{"model":"\\ud800"}', "not valid JSON"),
        (b'{"model":"\xff"}', "not valid UTF-8"),
        (b'{"model":"m","input":' + b"[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_no_json_is_refused(body, said):
    """With what is wrong."""
    with pytest.raises(InvalidRequest) as caught:
        decode(body)
    assert said in caught.value.message


def test_what_is_too_deep_to_encode_is_refused(monkeypatch):
    """The limit on the way out is no one's but the encoder's."""

    def too_deep(_body):
        raise RecursionError

    monkeypatch.setattr(requests.msgspec.json, "encode", too_deep)
    request = decode(b'{"model":"m","messages":[{"role":"user","content":"x"}]}')
    with pytest.raises(InvalidRequest) as caught:
        to_responses(request, upstream_model="m", efforts=None)
    assert "nested too deeply" in caught.value.message


@given(fields=st.dictionaries(KEYS, JSON), messages=st.lists(JSON, max_size=3))
def test_any_json_is_translated_or_refused(fields, messages):
    """Nothing else is raised, and the body always is what the upstream wants."""
    body = msgspec.json.encode({"model": "m", "messages": messages} | fields)
    with contextlib.suppress(CallerError):
        asked = to_responses(decode(body), upstream_model="m", efforts=("low",))
        said = msgspec.json.decode(asked.body)
        assert (said["store"], said["stream"], type(said["input"])) == (False, True, list)


@given(st.binary())
def test_any_bytes_are_read_or_refused(body):
    """Nothing else is raised."""
    with contextlib.suppress(InvalidRequest):
        decode(body)
