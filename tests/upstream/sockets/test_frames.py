"""What goes out as a turn and what comes back in place of a reply."""

import msgspec
import pytest

from app.relay.diagnosis import read
from app.upstream.sockets.frames import opening, refusal


def said(**changes):
    """Return an error event."""
    return msgspec.json.encode({"type": "error", **changes})


def test_a_request_is_the_very_body_with_its_type_in_front():
    """Nothing is decoded for it."""
    body = b'{"model": "m",  "input":[]}'
    assert opening(body, {}) == b'{"type":"response.create","model": "m",  "input":[]}'


@pytest.mark.parametrize("own", [{}, {"client_metadata": {"a": "1", "b": "2"}}])
def test_what_the_turn_says_joins_what_the_caller_says(own):
    """Where both say something, the turn's word counts."""
    body = msgspec.json.encode({"model": "m", **own})
    sent = msgspec.json.decode(opening(body, {"b": "3"}, previous="resp_1"))
    assert sent == {
        "type": "response.create",
        "previous_response_id": "resp_1",
        "model": "m",
        "client_metadata": {**own.get("client_metadata", {}), "b": "3"},
    }


@pytest.mark.parametrize("metadata", [None, [], "x"])
def test_metadata_that_is_no_object_gives_way(metadata):
    """The backend would refuse it; the turn's own has to get through."""
    body = msgspec.json.encode({"client_metadata": metadata})
    sent = msgspec.json.decode(opening(body, {"b": "3"}))
    assert sent["client_metadata"] == {"b": "3"}


ERROR = {"type": "usage_limit_reached", "message": "m", "resets_at": 5}


@pytest.mark.parametrize(
    "event",
    [
        said(status=429, error=ERROR),
        said(status_code=429, error=ERROR),
        said(status=429, body={"error": ERROR}),
        said(status_code=429, error_type="usage_limit_reached", message="m", resets_at=5),
    ],
    ids=["nested", "status_code", "body", "flat"],
)
def test_every_shape_of_an_error_is_a_refusal_that_http_would_have_brought(event):
    """It is judged where those are."""
    found = refusal(event)
    fault = read(found.status, found.headers, found.body)
    assert (fault.status, fault.type, fault.message, fault.resets_at) == (
        429,
        "usage_limit_reached",
        "m",
        5.0,
    )


@pytest.mark.parametrize(
    "event",
    [
        said(error=ERROR),
        said(status=200),
        said(status="429"),
        said(status=True, error=ERROR),
        b"{",
        b'"x"',
        b"\xff",
    ],
)
def test_an_error_without_a_status_is_an_event_of_the_reply(event):
    """It may not even be the end."""
    assert refusal(event) is None


def test_headers_may_be_numbers_and_booleans():
    """Their names are in lower case, as everywhere."""
    found = refusal(
        said(status=400, headers={"X-A": "1", "b": 2.5, "c": 3, "d": True, "e": False, "f": None})
    )
    assert found.headers == [("x-a", "1"), ("b", "2.5"), ("c", "3"), ("d", "true"), ("e", "false")]
