"""Requests are decoded and said upstream; the whole of it is in the golden files."""

import msgspec
import pytest

from app.dialects.messages.requests import decode, to_responses
from app.errors import InvalidRequest
from tests.dialects.messages.asking import request, upstream

SEARCH = {"type": "web_search_20250305", "name": "web_search"}


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"model":"\xff"}', b'{"model":' + b"[" * 5_000]
)
def test_what_is_no_request_is_refused(body):
    """Whatever it is."""
    with pytest.raises(InvalidRequest):
        decode(body)


def test_what_the_reply_needs_is_remembered():
    """And nothing else."""
    name = "n" * 70
    asked = request(
        tools=[{"name": name, "input_schema": {}}, SEARCH],
        tool_choice={"type": "tool", "name": "web_search"},
        stop_sequences=["END"],
        thinking={"type": "adaptive"},
    )
    call = to_responses(asked, upstream_model="gpt", efforts=None)
    assert list(call.tool_names.values()) == [name]
    assert (call.model, call.shown, call.stop_sequences) == ("claude", "all", ("END",))
    assert call.insists_on_search


def test_the_names_effort_is_the_last_word_of_none():
    """A request's own effort counts more."""

    def effort(**fields):
        call = to_responses(request(**fields), upstream_model="gpt", efforts=None, effort="low")
        return msgspec.json.decode(call.body)["reasoning"]["effort"]

    assert effort() == "low"
    assert effort(thinking={"type": "adaptive"}) == "high"


def test_a_key_for_the_cache_travels():
    """If there is one."""
    call = to_responses(request(), upstream_model="gpt", efforts=None, cache_key="k")
    assert msgspec.json.decode(call.body)["prompt_cache_key"] == "k"
    assert "prompt_cache_key" not in upstream()


def test_a_stop_sequence_is_more_than_space():
    """The field is named."""
    with pytest.raises(InvalidRequest) as caught:
        upstream(stop_sequences=["END", " \n"])
    assert caught.value.param == "stop_sequences[1]"


def test_a_schema_that_is_too_deep_is_refused():
    """It can't be said."""
    schema = {}
    for _ in range(3_000):
        schema = {"items": schema}
    asked = request()
    tool = {"name": "deep", "input_schema": schema}
    with pytest.raises(InvalidRequest, match="too deeply"):
        to_responses(msgspec.structs.replace(asked, tools=[tool]), upstream_model="g", efforts=None)
