"""The upstream's own words when it breaks off."""

import pytest

from app.dialects.chat.failures import failure_of_error_event, failure_of_response
from app.errors import UpstreamRefused

NESTED = (
    b'{"type":"error","error":{"type":"service_unavailable_error","code":"server_is_overloaded",'
    b'"message":"Overloaded.","param":null}}'
)
FLAT = b'{"type":"error","code":"server_error","message":"Broken.","param":null}'
FAILED = (
    b'{"type":"response.failed","response":{"status":"failed","error":{"code":"%b",'
    b'"message":"Words.","resets_at":1775317531,"param":"input"}}}'
)


def test_a_nested_error_keeps_code_and_words():
    """The status follows from the code."""
    failure = failure_of_error_event(NESTED)
    assert (failure.code, failure.message, failure.status) == (
        "server_is_overloaded",
        "Overloaded.",
        503,
    )


def test_a_flat_error_keeps_code_and_words():
    """Its `type` is that of the event, so it is no code."""
    failure = failure_of_error_event(FLAT)
    assert (failure.code, failure.message, failure.status) == ("server_error", "Broken.", 502)
    nameless = failure_of_error_event(b'{"type":"error","message":"Broken."}')
    assert nameless.code == "upstream_error"


def test_an_error_without_code_is_called_by_its_type():
    """Plan limits come with a type only."""
    failure = failure_of_error_event(b'{"error":{"type":"usage_limit_reached","resets_at":17.0}}')
    assert (failure.code, failure.status, failure.resets_at) == ("usage_limit_reached", 429, 17.0)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (b"context_length_exceeded", 400),
        (b"cyber_policy", 400),
        (b"image_too_large", 400),
        (b"rate_limit_exceeded", 429),
        (b"insufficient_quota", 429),
        (b"slow_down", 503),
        (b"something_new", 502),
    ],
)
def test_a_failed_response_has_the_status_of_its_code(code, status):
    """What the caller must change is a 400, everything else is not."""
    failure = failure_of_response(FAILED % code)
    assert (failure.status, failure.code, failure.message) == (status, code.decode(), "Words.")
    assert isinstance(failure, UpstreamRefused) == (status == 400)
    assert failure.param == ("input" if status == 400 else None)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"garbage",
        b"[]",
        b'{"response":null}',
        b'{"response":{"error":null}}',
        b'{"response":{"error":{"code":5,"message":[]}}}',
    ],
)
def test_a_failure_without_reason_is_still_one(data):
    """Whatever the upstream leaves out, there is a code and a sentence."""
    for failure in (failure_of_response(data), failure_of_error_event(data)):
        assert failure.code == "upstream_error"
        assert failure.message
        assert failure.status == 502
