"""Tests of app.edge.headers."""

import pytest

from app.edge.headers import error_headers
from app.errors import ContextUnavailable, GatewayError, UpstreamRefused
from tests.edge.asgi import KEY


@pytest.mark.parametrize(("error", "expected"), [
    (GatewayError("x"), {"x-codex2api-reason": "internal_error"}),
    (GatewayError("x", retry_after_s=0.1), {"x-codex2api-reason": "internal_error",
                                            "retry-after": "1"}),
    (GatewayError("x", retry_after_s=121), {"x-codex2api-reason": "internal_error",
                                            "retry-after": "121", "x-should-retry": "false"}),
    (UpstreamRefused("x"), {}),
    # An SDK sends a 409 again by itself.
    (ContextUnavailable("x"), {"x-codex2api-reason": "response_context_unavailable",
                               "x-should-retry": "false"}),
    (ContextUnavailable("x", retry_after_s=3), {
        "x-codex2api-reason": "response_context_unavailable", "retry-after": "3"}),
])  # fmt: skip
def test_an_errors_headers(error, expected) -> None:
    """The gateway's own reason, unless the words are the upstream's; when to come back."""
    found = {name.decode(): value.decode() for name, value in error_headers(error)}
    assert found.pop("content-type") == "application/json"
    assert found == expected


def test_a_key_never_reaches_an_answer() -> None:
    """Nor does the test's own one."""
    assert KEY not in str(error_headers(GatewayError(KEY)))
