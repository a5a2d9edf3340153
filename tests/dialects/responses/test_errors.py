"""Errors have OpenAI's object before the first byte and `response.failed` after it."""

import json

import pytest

from app.dialects.responses.errors import error_body, error_event
from app.dialects.responses.events import Kind, classify, failure_of
from app.errors import InvalidRequest, StreamIncomplete, UpstreamError


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


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("server_is_overloaded", "server_error"),
        ("slow_down", "server_error"),
        ("usage_limit_reached", "usage_limit_reached"),
    ],
)
def test_the_event_never_says_what_stops_the_codex_cli_for_nothing(code, told):
    """It gives up on two codes that pass by themselves."""
    error = UpstreamError("x", code=code, resets_at=9.0)
    raw = error_event(error, sequence_number=0, response_id=None, model="m")
    failure = failure_of(raw.split(b"\n")[1].removeprefix(b"data: "))
    assert (failure.code, failure.resets_at) == (told, 9.0)
