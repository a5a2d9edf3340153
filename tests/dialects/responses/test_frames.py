"""Tests of app.dialects.responses.frames."""

import json

import pytest

from app.dialects.responses.events import Kind, classify
from app.dialects.responses.frames import (
    Message,
    error_frame,
    message_of,
    turn_request,
    warm_up,
)
from app.dialects.responses.replies import ResponsesStream
from app.errors import GatewayError, InvalidRequest, TooManyRequests
from app.wire.sse import SseDecoder


@pytest.mark.parametrize(("text", "message"), [
    (b'{"type": "response.create", "model": "m"}', Message.CREATE),
    (b'{"model": "m"}', Message.CREATE),
    (b'{"type": "", "model": "m"}', Message.CREATE),
    (b'{"type": null, "model": "m"}', Message.CREATE),
    (b'{"type": "response.processed", "response_id": "resp_1"}', Message.PROCESSED),
])  # fmt: skip
def test_a_message_is_known_by_its_type(text, message) -> None:
    """One without a type asks for a response."""
    assert message_of(text) is message


@pytest.mark.parametrize(("text", "param", "words"), [
    (b"", None, "not valid JSON"),
    (b"{", None, "not valid JSON"),
    (b"hello", None, "not valid JSON"),
    (b"[1]", None, "must be a JSON object"),
    (b'{"type": 1}', "type", "expected a string"),
    (b'{"type": "response.append", "input": []}', "type", "'response.append' is not known"),
    (b'{"type": "response.cancel"}', "type", "send 'response.create'"),
    (b'{"type": "' + b"x" * 999 + b'"}', "type", "x" * 64 + "'"),
])  # fmt: skip
def test_what_is_no_message_is_told_why(text, param, words) -> None:
    """With the field, if it is one."""
    with pytest.raises(InvalidRequest) as refused:
        message_of(text)
    assert refused.value.param == param
    assert words in refused.value.message


def test_a_message_that_is_nested_too_deeply_is_an_error_like_any_other() -> None:
    """Msgspec raises something else there."""
    with pytest.raises(InvalidRequest):
        message_of(b'{"x": ' + b"[" * 5_000 + b"]" * 5_000 + b"}")


def test_a_request_that_needs_no_change_stays_as_it_came() -> None:
    """The very same bytes."""
    body = b'{"type": "response.create", "model": "m", "client_metadata": {"a": "b"}}'
    turn = turn_request(body)
    assert (turn.body is body, turn.headers, turn.generate) == (True, (), True)
    assert turn_request(b'{"generate": null}').generate
    assert not turn_request(b'{"generate": false}').generate


def test_what_belongs_in_headers_is_taken_out() -> None:
    """The turn state is one account's, so it does not stay in the body; the metadata may."""
    state = {"x-codex-turn-state": "s", "x-codex-turn-metadata": '{"a":1}', "session_id": "x"}
    turn = turn_request(json.dumps({"model": "m", "client_metadata": state}).encode())
    assert dict(turn.headers) == {k: v for k, v in state.items() if k.startswith("x-")}
    del state["x-codex-turn-state"]
    assert json.loads(turn.body) == {"model": "m", "client_metadata": state}


@pytest.mark.parametrize("value", ['"\\u00e9"', '"a\\nb"', "1", "null", "[]", '""'])
def test_what_can_be_no_header_is_none(value) -> None:
    """It is taken out all the same."""
    body = f'{{"client_metadata": {{"x-codex-turn-state": {value}}}}}'.encode()
    turn = turn_request(body)
    assert (turn.headers, json.loads(turn.body)) == ((), {"client_metadata": {}})


@pytest.mark.parametrize("metadata", ["null", "1", "[]", '"x"'])
def test_metadata_that_is_no_object_is_for_others_to_judge(metadata) -> None:
    """It stays where it is."""
    body = f'{{"client_metadata": {metadata}}}'.encode()
    assert turn_request(body).body is body


@pytest.mark.parametrize(("fields", "param"), [
    ({"stream_id": "a"}, "stream_id"),
    ({"previous_response_id": "msg_1"}, "previous_response_id"),
    ({"generate": 1}, "generate"),
])  # fmt: skip
def test_what_a_connection_does_not_do_is_refused(fields, param) -> None:
    """By its field."""
    with pytest.raises(InvalidRequest) as refused:
        turn_request(json.dumps(fields).encode())
    assert refused.value.param == param


def test_an_error_has_a_status_and_headers() -> None:
    """And OpenAI's error object, complete."""
    error = TooManyRequests("slow down", retry_after_s=1.0, resets_at=5.0)
    assert json.loads(error_frame(error, {"retry-after": "1"})) == {
        "type": "error",
        "status": 429,
        "error": {
            "message": "slow down", "type": "requests", "param": None,
            "code": "rate_limit_exceeded", "resets_at": 5,
        },
        "headers": {"retry-after": "1"},
    }  # fmt: skip
    assert classify(error_frame(GatewayError("x"), {})) is Kind.ERROR


def test_a_warm_up_is_a_response_that_says_nothing() -> None:
    """Its events are those of a stream, and whoever takes notes hears of it."""
    events = warm_up("resp_1", model="m", created_at=7)
    assert [classify(event.data) for event in events] == [Kind.LIFECYCLE, Kind.COMPLETED]
    assert SseDecoder().feed(b"".join(event.raw for event in events)) == events
    told = []
    lane = ResponsesStream(codex_route=False, note=lambda name, items: told.append((name, items)))
    first, last = (json.loads(message) for message in lane.messages(events))
    assert (first["response"]["status"], last["response"]["status"]) == ("in_progress", "completed")
    assert last["response"]["usage"]["total_tokens"] == 0
    assert told == [("resp_1", [])]
