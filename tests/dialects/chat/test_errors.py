"""How chat callers are told of errors."""

import msgspec

from app.dialects.chat.errors import error_body, error_event
from app.errors import InvalidRequest, UpstreamError


def test_an_error_has_all_four_fields():
    """Typed callers read message, type, param and code without asking whether they exist."""
    body = msgspec.json.decode(error_body(InvalidRequest("No.", param="messages[0].role")))
    assert body == {
        "error": {
            "message": "No.",
            "type": "invalid_request_error",
            "param": "messages[0].role",
            "code": "invalid_request",
        }
    }


def test_a_limit_says_when_it_ends():
    """`resets_at` is whole seconds since the epoch."""
    body = msgspec.json.decode(error_body(UpstreamError("Full.", resets_at=1775317531.5)))
    assert body["error"]["resets_at"] == 1775317531


def test_the_event_holds_the_body_and_no_done():
    """A failed stream must not look like a whole one."""
    error = UpstreamError("Broken.")
    assert error_event(error) == b"data: " + error_body(error) + b"\n\n"
