"""Errors have Anthropic's shape."""

import msgspec
import pytest

from app.dialects.messages.errors import error_body, error_event, error_type
from app.errors import (
    CapacityError,
    GatewayError,
    InvalidRequest,
    NotAllowed,
    NotSupportedByUpstream,
    PayloadTooLarge,
    RequestTimeout,
    TooManyRequests,
    Unauthenticated,
    UnknownModel,
    UpstreamError,
    UpstreamRefused,
    UpstreamTimeout,
)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (InvalidRequest("x"), "invalid_request_error"),
        (Unauthenticated("x"), "authentication_error"),
        (NotAllowed("x"), "permission_error"),
        (UnknownModel("x"), "not_found_error"),
        (RequestTimeout("x"), "timeout_error"),
        (PayloadTooLarge("x"), "request_too_large"),
        (TooManyRequests("x"), "rate_limit_error"),
        (CapacityError("x", status=429, code="usage_limit_reached"), "rate_limit_error"),
        (CapacityError("x"), "overloaded_error"),
        (UpstreamError("x", status=503, code="server_is_overloaded"), "overloaded_error"),
        (UpstreamError("x", status=503), "overloaded_error"),
        (UpstreamError("x"), "api_error"),
        (UpstreamTimeout("x"), "timeout_error"),
        (NotSupportedByUpstream("x"), "invalid_request_error"),
        (UpstreamRefused("x", status=422), "invalid_request_error"),
        (GatewayError("x"), "api_error"),
    ],
)
def test_the_type_follows_from_the_status(error, kind):
    """As Anthropic's clients expect."""
    assert error_type(error) == kind


@pytest.mark.parametrize(
    ("message", "param", "said"),
    [
        ("No.", None, "No."),
        ("No.", "messages[0].content", "messages.0.content: No."),
        ("Invalid type for 'a[1].b': no.", "a[1].b", "Invalid type for 'a.1.b': no."),
    ],
)
def test_the_sentence_names_the_field(message, param, said):
    """With dots, and once."""
    body = msgspec.json.decode(error_body(InvalidRequest(message, param=param), "req_1"))
    assert body["type"] == "error"
    assert body["error"]["message"] == said
    assert body["request_id"] == "req_1"


def test_a_prompt_that_is_too_long_is_said_in_the_words_that_clients_know():
    """They compact their conversation then."""
    error = UpstreamRefused("Too much.", status=400, code="context_length_exceeded")
    body = msgspec.json.decode(error_body(error))
    assert body["error"] == {
        "type": "invalid_request_error",
        "message": "prompt is too long: Too much.",
    }


def test_a_reset_is_told():
    """As a number."""
    error = CapacityError("x", status=429, resets_at=12.7)
    assert msgspec.json.decode(error_body(error))["error"]["resets_at"] == 12


def test_an_event_holds_the_same():
    """It is the last one of a stream."""
    error = UpstreamError("x")
    assert error_event(error) == b"event: error\ndata: " + error_body(error) + b"\n\n"
