"""Tests of app.dialects.responses.platform."""

import msgspec
import pytest

from app.dialects.responses.platform import to_platform, with_model
from app.errors import InvalidRequest

ENCRYPTED = ["reasoning.encrypted_content"]
TOOL = {"type": "function", "name": "f"}


def sent(tuning=b"", **fields):
    """Return what the platform is sent for these fields."""
    body = msgspec.json.encode({"model": "m", "input": "hi", "store": False, **fields})
    return msgspec.json.decode(to_platform(body, tuning, model="own"))


def test_a_request_keeps_what_it_says():
    """Its model has the account's name; unknown fields pass."""
    assert sent(future=1) == {"model": "own", "input": "hi", "store": False, "future": 1}


def test_what_only_codex_clients_and_their_backend_know_is_left_out():
    """The platform refuses what it does not know."""
    private = {"client_metadata": {}, "access_programs": {}, "stream_options": {"x": 1}}
    assert sent(**private).keys() == {"model", "input", "store"}


def test_the_lite_form_is_undone():
    """Tools are a field again, and what the form forces says nothing."""
    told = {"type": "message", "role": "user", "content": "x"}
    lite = {
        "input": [{"type": "additional_tools", "role": "developer", "tools": [TOOL]}, told],
        "parallel_tool_calls": False,
        "reasoning": {"effort": "low", "context": "all_turns"},
    }
    found = sent(**lite)
    assert (found["tools"], found["input"]) == ([TOOL], [told])
    assert found["reasoning"] == {"effort": "low"}
    assert "parallel_tool_calls" not in found
    empty = [{"type": "additional_tools", "tools": []}, told]
    assert "tools" not in sent(input=empty)
    assert sent(input=[told], parallel_tool_calls=False)["parallel_tool_calls"] is False
    assert sent(input=[])["input"] == []


@pytest.mark.parametrize(
    ("fields", "tuning", "asked"),
    [
        ({}, b"", None),
        ({"reasoning": {"effort": "high"}}, b"", ENCRYPTED),
        ({"reasoning": {"summary": "auto"}}, b"", None),
        ({}, b'{"include":["reasoning.encrypted_content"]}', ENCRYPTED),
        (
            {"include": ["message.output_text.logprobs", *ENCRYPTED]},
            b"",
            ["message.output_text.logprobs"],
        ),
        ({"include": None}, b"", None),
    ],
)
def test_encrypted_reasoning_is_asked_for_only_where_there_is_some(fields, tuning, asked):
    """Models that do not reason refuse it, and the backend is asked for it always."""
    assert sent(tuning, **{"include": ENCRYPTED, **fields}).get("include") == asked


def test_a_summary_that_only_the_gateway_wants_is_not_asked_for():
    """Not every model has one; what the caller wants is asked for."""
    assert "reasoning" not in sent(reasoning={"summary": "auto"})
    assert sent(reasoning={"summary": "concise"})["reasoning"] == {"summary": "concise"}
    assert sent(reasoning=None)["reasoning"] is None


def test_what_the_caller_tunes_is_heeded():
    """But for what Responses has no word for."""
    found = sent(b'{"temperature":0.5,"stop":"x","seed":1,"max_output_tokens":9}')
    assert (found["temperature"], found["max_output_tokens"]) == (0.5, 9)
    assert not found.keys() & {"stop", "seed"}


def test_a_body_with_the_right_name_stays_as_it_is():
    """Byte for byte."""
    body = b'{ "model" : "m", "input": 1 }'
    assert with_model(body, "m") is body
    assert msgspec.json.decode(with_model(body, "n")) == {"model": "n", "input": 1}


@pytest.mark.parametrize(
    ("fields", "param"),
    [({"input": [{"role": {}}]}, "input[0].role"), ({"include": [5]}, "include[0]")],
)
def test_what_has_another_type_is_refused_with_its_place(fields, param):
    """The Codex backend is sent it as it is; here it is read."""
    with pytest.raises(InvalidRequest) as caught:
        sent(**fields)
    assert caught.value.param == param
