"""Events are told apart by their data's own type, and failures in all their shapes are read."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dialects.responses.events import Failure, Kind, classify, failure_of, receipt_of
from app.domain.usage import Usage
from app.wire.durations import DURATION_S_MAX

KINDS = {
    "response.created": Kind.LIFECYCLE,
    "response.in_progress": Kind.LIFECYCLE,
    "response.queued": Kind.LIFECYCLE,
    "response.metadata": Kind.PRIVATE,
    "codex.rate_limits": Kind.PRIVATE,
    "codex.response.metadata": Kind.PRIVATE,
    "codex.keepalive": Kind.PRIVATE,
    "responsesapi.websocket_timing": Kind.PRIVATE,
    "response.output_item.added": Kind.CONTENT,
    "response.output_item.done": Kind.ITEM_DONE,
    "response.output_text.delta": Kind.CONTENT,
    "response.reasoning_summary_text.delta": Kind.CONTENT,
    "response.something.new": Kind.CONTENT,
    "keepalive": Kind.CONTENT,
    "response.completed": Kind.COMPLETED,
    "response.done": Kind.COMPLETED,
    "response.incomplete": Kind.INCOMPLETE,
    "response.failed": Kind.FAILED,
    "error": Kind.ERROR,
}


@pytest.mark.parametrize(("name", "kind"), KINDS.items())
def test_an_event_is_what_its_type_says(name, kind):
    """Wherever in the data the type stands."""
    assert classify(json.dumps({"type": name, "delta": "x"}).encode()) is kind
    assert classify(json.dumps({"response": {"type": "error"}, "type": name}).encode()) is kind


@pytest.mark.parametrize(
    "data",
    [b"", b"[DONE]", b"[]", b"{}", b'{"type":5}', b'{"type":"error"', b'{"type":"\xff"}'],
)
def test_data_without_a_type_is_unreadable(data):
    """It means nothing for the call."""
    assert classify(data) is Kind.UNREADABLE


def test_data_that_is_too_deep_is_unreadable():
    """The parser's limit is no accident."""
    assert classify(b'{"a":' + b"[" * 100_000) is Kind.UNREADABLE


def test_each_kind_says_what_follows_from_it():
    """The table of what the relay may do."""
    assert {kind for kind in Kind if kind.content} == {
        Kind.CONTENT,
        Kind.ITEM_DONE,
        Kind.COMPLETED,
        Kind.INCOMPLETE,
    }
    assert {kind for kind in Kind if kind.terminal} == {
        Kind.COMPLETED,
        Kind.INCOMPLETE,
        Kind.FAILED,
        Kind.ERROR,
    }
    assert {kind for kind in Kind if kind.private} == {Kind.PRIVATE}
    assert {kind for kind in Kind if kind.failed} == {Kind.FAILED, Kind.ERROR}


@given(st.binary(max_size=200))
def test_any_data_has_a_kind(data):
    """No upstream can break the relay with an event."""
    assert isinstance(classify(data), Kind)
    assert isinstance(failure_of(data), Failure)
    assert receipt_of(data)[0] is None


def terminal(usage: object) -> bytes:
    """Return a terminal event with this usage."""
    return json.dumps({"type": "response.completed", "response": {"usage": usage}}).encode()


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        (
            {
                "input_tokens": 1200,
                "input_tokens_details": {"cached_tokens": 1024, "cache_write_tokens": 3},
                "output_tokens": 42,
                "output_tokens_details": {"reasoning_tokens": 30},
                "total_tokens": 1242,
            },
            Usage(input=1200, cached=1024, cache_write=3, output=42, reasoning=30),
        ),
        (
            {
                "input_tokens": 5,
                "input_tokens_details": None,
                "output_tokens": 6,
                "output_tokens_details": {"reasoning_tokens": None},
            },
            Usage(input=5, output=6),
        ),
        ({}, Usage()),
        ({"input_tokens": -5, "output_tokens": None}, Usage()),
        (None, None),
        ({"input_tokens": "many"}, None),
        ("none", None),
    ],
)
def test_usage_is_read_with_all_that_may_be_missing(usage, counted):
    """Missing and null are zero; no usage is None."""
    assert receipt_of(terminal(usage))[0] == counted


def test_an_event_without_a_response_has_no_usage():
    """Neither with null nor without the key."""
    assert receipt_of(b'{"type":"response.completed"}')[0] is None
    assert receipt_of(b'{"type":"response.completed","response":null}')[0] is None


@pytest.mark.parametrize(
    ("event", "failure"),
    [
        (
            {"type": "error", "code": "server_error", "message": "Broke.", "param": None},
            Failure(code="server_error", message="Broke."),
        ),
        (
            {
                "type": "error",
                "sequence_number": 2,
                "error": {
                    "type": "service_unavailable_error",
                    "code": "server_is_overloaded",
                    "message": "Overloaded.",
                    "param": "p",
                },
            },
            Failure("server_is_overloaded", "service_unavailable_error", "Overloaded.", "p"),
        ),
        (
            {
                "type": "error",
                "status": 429,
                "error": {
                    "type": "usage_limit_reached",
                    "message": "Limit.",
                    "plan_type": "free",
                    "resets_at": 1775317531,
                    "resets_in_seconds": 602705,
                },
            },
            Failure(
                type="usage_limit_reached",
                message="Limit.",
                resets_at=1775317531.0,
                retry_after_s=602705.0,
                plan="free",
                status=429,
            ),
        ),
        (
            {"type": "error", "status_code": 400, "error": {"code": "invalid_prompt"}},
            Failure(code="invalid_prompt", status=400),
        ),
        (
            {
                "type": "response.failed",
                "response": {
                    "error": {"code": "rate_limit_exceeded", "message": "Try again in 11.054s."}
                },
            },
            Failure("rate_limit_exceeded", None, "Try again in 11.054s.", retry_after_s=11.054),
        ),
        (
            {"type": "error", "message": "please try again in 6m0s.", "code": 7},
            Failure(message="please try again in 6m0s.", retry_after_s=360.0),
        ),
        (
            {"type": "error", "error": {"resets_in_seconds": 1e300, "resets_at": -5}},
            Failure(retry_after_s=DURATION_S_MAX),
        ),
        ({"type": "error", "error": {"resets_in_seconds": True}}, Failure()),
        ({"type": "response.failed", "response": {"error": None}}, Failure()),
        ({"type": "response.failed", "response": None, "code": "x"}, Failure(code="x")),
        ({"type": "error", "error": "text"}, Failure()),
        ({"type": "server_error", "message": "x"}, Failure(type="server_error", message="x")),
    ],
)
def test_a_failure_is_read_in_every_shape(event, failure):
    """Flat, nested, in a response, in a WebSocket's frame; what is unsaid is None."""
    assert failure_of(json.dumps(event).encode()) == failure


@pytest.mark.parametrize(
    ("response", "tier"),
    [
        ({}, None),
        ({"service_tier": "priority"}, "priority"),
        ({"service_tier": ""}, None),
        ({"service_tier": 7, "usage": {"input_tokens": 1}}, None),
    ],
)
def test_the_tier_that_was_charged_is_told(response, tier) -> None:
    """One that is told badly does not take the counts along."""
    data = msgspec.json.encode({"type": "response.completed", "response": response})
    usage, found = receipt_of(data)
    assert found == tier
    assert (usage is None) == ("usage" not in response)
