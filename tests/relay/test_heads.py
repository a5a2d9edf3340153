"""Tests of app.relay.heads."""

import pytest

from app.relay.heads import no_document, no_stream
from tests.fakes.upstream import Answer, FakeReply

STREAM = ("content-type", "text/event-stream; charset=utf-8")
JSON = ("content-type", "Application/JSON")


def reply(*headers: tuple[str, str]) -> FakeReply:
    """Return a reply with these headers."""
    return FakeReply("a", Answer(headers=list(headers)), [])


@pytest.mark.parametrize(
    ("headers", "stream", "document"),
    [
        ((STREAM,), True, False),
        ((JSON,), False, True),
        ((("content-type", "text/html"),), False, False),
        ((), True, True),
        ((STREAM, ("content-encoding", "gzip")), False, False),
        ((JSON, ("content-encoding", "Identity")), False, True),
    ],
)
def test_a_body_is_what_its_head_says(headers, stream, document):
    """Type and encoding decide, in any spelling; a head that says nothing is believed."""
    assert (no_stream(reply(*headers)) is None) is stream
    assert (no_document(reply(*headers)) is None) is document
