"""Tests of app.dialects.chat.ends."""

import msgspec
import pytest

from app.dialects.chat.ends import Why, end_of
from app.dialects.chat.events import event_of

LENGTH = {"incomplete_details": {"reason": "max_output_tokens"}}
FILTER = {"incomplete_details": {"reason": "content_filter"}}


@pytest.mark.parametrize(
    ("kind", "response", "why"),
    [
        ("completed", {"status": "completed"}, Why.WHOLE),
        ("done", {}, Why.WHOLE),
        ("completed", "odd", Why.WHOLE),
        ("completed", {"status": 7}, Why.WHOLE),
        ("incomplete", LENGTH, Why.LENGTH),
        ("incomplete", FILTER, Why.FILTER),
        ("incomplete", {}, Why.LENGTH),
        ("incomplete", {"incomplete_details": "odd"}, Why.LENGTH),
        ("done", {"status": "incomplete", **FILTER}, Why.FILTER),
        ("failed", {}, Why.FAILED),
        ("failed", {"status": "completed"}, Why.FAILED),
        ("done", {"status": "failed"}, Why.FAILED),
        ("completed", {"status": "cancelled"}, Why.FAILED),
    ],
)
def test_type_and_status_both_say_how_it_ended(kind, response, why):
    """Whichever of them is the worse one; what has a strange form says nothing."""
    data = msgspec.json.encode({"type": f"response.{kind}", "response": response})
    assert end_of(event_of(data), data).why is why
