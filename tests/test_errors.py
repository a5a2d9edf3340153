"""The ends of calls: each has a status, a public code and a place in the request."""

import pytest

from app import errors

CONTRACT = {
    errors.InvalidRequest: (400, "invalid_request"),
    errors.Unauthenticated: (401, "invalid_api_key"),
    errors.NotAllowed: (403, "model_not_allowed"),
    errors.UnknownModel: (404, "model_not_found"),
    errors.UnknownRoute: (404, "unknown_route"),
    errors.MethodNotAllowed: (405, "method_not_allowed"),
    errors.RequestTimeout: (408, "request_timeout"),
    errors.PayloadTooLarge: (413, "payload_too_large"),
    errors.NotSupportedByUpstream: (501, "not_supported_by_upstream"),
    errors.CapacityError: (503, "pool_busy"),
    errors.Overloaded: (503, "overloaded"),
    errors.Draining: (503, "server_draining"),
    errors.UpstreamError: (502, "upstream_error"),
    errors.UpstreamTimeout: (504, "upstream_timeout"),
    errors.StreamIncomplete: (502, "stream_incomplete"),
    errors.StateError: (503, "store_unavailable"),
}


@pytest.mark.parametrize(("kind", "expected"), CONTRACT.items(), ids=lambda v: str(v)[:40])
def test_an_end_has_the_status_and_code_of_the_contract(kind, expected):
    """Callers hold on to these; a change here is a change of the contract."""
    error = kind("why")
    assert (error.status, error.code) == expected
    assert (error.message, str(error)) == ("why", "why")
    assert (error.param, error.retry_after_s, error.resets_at) == (None, None, None)


def test_an_end_may_say_more_than_its_kind_does():
    """What is given overrides what the kind says, for this one error only."""
    error = errors.CapacityError(
        "all cool",
        status=429,
        code="usage_limit_reached",
        type="usage_limit_reached",
        param="model",
        retry_after_s=5.0,
        resets_at=9.0,
    )
    assert (error.status, error.code, error.type) == (429, *["usage_limit_reached"] * 2)
    assert (error.param, error.retry_after_s, error.resets_at) == ("model", 5.0, 9.0)
    assert errors.CapacityError.status == 503
