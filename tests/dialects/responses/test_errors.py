"""Errors have OpenAI's object before the first byte and `response.failed` after it."""

import json

import pytest

from app.dialects.responses.errors import error_body, error_event, retryable, tells_overload
from app.dialects.responses.events import Kind, classify, failure_of
from app.errors import ContextUnavailable, InvalidRequest, StreamIncomplete, UpstreamError
from app.wire.sse import SseDecoder


def test_the_body_has_all_four_keys():
    """Null where there is nothing to say."""
    assert json.loads(error_body(StreamIncomplete("Broke."))) == {
        "error": {
            "message": "Broke.",
            "type": "upstream_error",
            "param": None,
            "code": "stream_incomplete",
        }
    }
    assert json.loads(error_body(InvalidRequest("Bad.", param="a[0]")))["error"]["param"] == "a[0]"


def test_the_body_says_when_a_limit_resets():
    """As the Codex CLI shows it."""
    error = UpstreamError("Limit.", status=429, type="usage_limit_reached", resets_at=17.9)
    assert json.loads(error_body(error))["error"]["resets_at"] == 17


def test_the_event_is_a_failed_response():
    """With an integer sequence number, and no `error` at the top."""
    raw = error_event(
        StreamIncomplete('Line\n"end"'), sequence_number=7, response_id="resp_1", model="m"
    )
    name, data, blank, rest = raw.split(b"\n")
    assert (name, blank, rest) == (b"event: response.failed", b"", b"")
    assert json.loads(data.removeprefix(b"data: ")) == {
        "type": "response.failed",
        "sequence_number": 7,
        "response": {
            "id": "resp_1",
            "object": "response",
            "status": "failed",
            "error": {
                "code": "stream_incomplete",
                "message": 'Line\n"end"',
                "type": "upstream_error",
            },
            "incomplete_details": None,
            "model": "m",
            "output": [],
            "usage": None,
        },
    }
    assert classify(data.removeprefix(b"data: ")) is Kind.FAILED


CODES = {
    "server_is_overloaded": "server_error",
    "slow_down": "server_error",
    "usage_limit_reached": "usage_limit_reached",
    "upstream_error": "upstream_error",
}


@pytest.mark.parametrize(("code", "told"), CODES.items())
def test_no_shape_says_what_stops_the_codex_cli_for_nothing(code, told):
    """It gives up on two codes of an overload that passes by itself."""
    error = UpstreamError("x", code=code, resets_at=9.0)
    raw = error_event(error, sequence_number=0, response_id=None, model="m")
    for body in (raw.split(b"\n")[1].removeprefix(b"data: "), error_body(error)):
        failure = failure_of(body)
        assert (failure.code, failure.resets_at) == (told, 9.0)


def test_a_lost_context_is_told_with_its_code():
    """The caller decides how to go on."""
    error = json.loads(error_body(ContextUnavailable("Gone.")))["error"]
    assert (error["code"], error["type"]) == (
        "response_context_unavailable",
        "invalid_request_error",
    )


FAILURES = {
    "flat": '{"type":"error","sequence_number":2,"code":CODE,"message":"\u00e9","param":null}',
    "nested": '{"type":"error","error":{"type":"service_unavailable_error","code":CODE},"a": 1.0}',
    "response": '{"type":"response.failed","response":{"id":"r","error":{"code":CODE},"x" :1e2}}',
    "twice": '{"type":"error","code":CODE,"error":{"code":CODE}}',
}


@pytest.mark.parametrize("form", FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("name", ["event: error\n", ""])
@pytest.mark.parametrize("code", ["server_is_overloaded", "slow_down"])
def test_a_failure_of_the_upstreams_own_says_it_neither(form, name, code):
    """Every other value stays as it was spelled, and so does the event's name."""
    event = event_of(name + "data: " + form.replace("CODE", f'"{code}"') + "\n\n")
    assert tells_overload(event.raw)
    said = retryable(event)
    assert not tells_overload(said.raw)
    assert said.data.decode() == form.replace("CODE", '"server_error"').replace(
        '"x" :', '"x":'
    ).replace('"a": ', '"a":')
    assert said.raw == f"{name}data: {said.data.decode()}\n\n".encode()
    assert failure_of(said.data).code == "server_error"


@pytest.mark.parametrize(
    "data",
    [
        FAILURES["nested"].replace("CODE", '"server_error"'),
        '{"type":"response.output_text.delta","delta":"slow_down"}',
        '{"type":"response.output_text.delta","delta":"\\"slow_down\\""}',
        '{"type":"response.completed","response":{"error":{"code":"slow_down"}}}',
        '"slow_down"',
    ],
)
def test_what_is_no_such_failure_is_passed_on_as_it_is(data):
    """The very same event."""
    event = event_of(f": hello\ndata: {data}\n\n")
    assert retryable(event) is event


@pytest.mark.parametrize(
    "data",
    [
        '{"type":"error","message":"slow_down"}',
        '{"type":"error","code":["slow_down"],"error":"slow_down","response":null}',
    ],
)
def test_a_failure_with_such_a_word_elsewhere_keeps_it(data):
    """Only codes are read by clients."""
    assert retryable(event_of(f"data: {data}\n\n")).data == data.encode()


def event_of(raw):
    """Return the event in these bytes."""
    return SseDecoder().feed(raw.encode())[0]
