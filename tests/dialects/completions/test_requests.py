"""Tests of app.dialects.completions.requests."""

import msgspec
import pytest

from app.dialects.completions.requests import CompletionCall, decode, to_responses
from app.errors import InvalidRequest


def call(effort=None, **fields) -> CompletionCall:
    """Return the call of a request."""
    body = msgspec.json.encode({"model": "alias", **fields})
    raw = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    return to_responses(decode(body), raw, upstream_model="m", effort=effort)


@pytest.mark.parametrize("prompt", ["Say hi.", ["Say hi."], ""])
def test_a_prompt_is_what_one_user_says(prompt):
    """An array of one is the same as the one."""
    said = call(prompt=prompt)
    item = msgspec.json.decode(said.body)["input"][0]
    text = prompt[0] if isinstance(prompt, list) else prompt
    assert item["content"] == [{"type": "input_text", "text": text}]
    assert (said.model, said.prompt) == ("alias", text)
    assert msgspec.json.decode(said.body)["model"] == "m"


def test_what_tunes_travels_beside_the_body():
    """The backend would refuse it."""
    said = call(prompt="x", max_tokens=5, temperature=0, stop="y", stream=True,
                stream_options={"include_usage": True})  # fmt: skip
    assert msgspec.json.decode(said.tuning) == {
        "max_output_tokens": 5, "temperature": 0, "stop": "y",
    }  # fmt: skip
    assert (said.stream, said.include_usage, said.max_tokens) == (True, True, 5)


def test_the_models_name_may_ask_for_an_effort():
    """Such as `gpt-5.5-high`."""
    assert msgspec.json.decode(call(effort="high", prompt="x").body)["reasoning"] == {
        "effort": "high"
    }


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": [1, 2]}, "prompt"),
        ({"prompt": [[1], [2]]}, "prompt"),
        ({"prompt": {"a": 1}}, "prompt"),
        ({"prompt": True}, "prompt"),
        ({"prompt": [None]}, "prompt"),
        ({"prompt": "x", "n": 2}, "n"),
        ({"prompt": "x", "best_of": 2}, "best_of"),
        ({"prompt": "x", "logprobs": 0}, "logprobs"),
        ({"prompt": "x", "suffix": "y"}, "suffix"),
        ({"prompt": "x", "max_tokens": 0}, "max_tokens"),
        ({"prompt": "x", "temperature": 3}, "temperature"),
        ({"prompt": "x", "stream_options": {}}, "stream_options"),
    ],
)
def test_what_cannot_be_given_is_refused_by_name(fields, param):
    """And never left out in silence."""
    with pytest.raises(InvalidRequest) as caught:
        call(**fields)
    assert caught.value.param == param


def test_what_asks_for_nothing_special_passes():
    """Clients send the defaults."""
    call(prompt="x", n=1, best_of=1, logprobs=None, suffix="", echo=False, user="u", future=1)
