"""Tests of app.domain.operation."""

from app.domain.operation import Operation


def test_only_a_conversation_is_answered_by_a_stream():
    """Whatever else is asked comes back as one document."""
    assert [one for one in Operation if not one.document] == [Operation.RESPONSE]
