"""Tests of app.dialects.responses.needs."""

import msgspec
import pytest

from app.dialects.responses.needs import needs_of, tuning_of
from app.domain.needs import Need
from app.errors import InvalidRequest


def raw(**fields):
    """Return fields as raw JSON."""
    return msgspec.json.decode(msgspec.json.encode(fields), type=dict[str, msgspec.Raw])


TRIGGER = {"type": "compaction_trigger"}


@pytest.mark.parametrize(
    ("fields", "needs"),
    [
        ({"input": "hi"}, set()),
        ({}, set()),
        ({"input": [{"role": "user", "content": "x"}, TRIGGER]}, {Need.COMPACTION}),
        ({"input": "about a compaction_trigger"}, set()),
        ({"tool_choice": "required", "tools": [{"type": "web_search"}]}, set()),
        ({"tool_choice": {"type": "web_search"}}, {Need.SEARCH}),
        ({"tool_choice": {"type": "web_search_preview"}}, {Need.SEARCH}),
        ({"tool_choice": {"type": "image_generation"}}, {Need.IMAGES}),
        ({"tool_choice": {"type": "function", "name": "web_search"}}, set()),
    ],
)
def test_only_what_is_insisted_on_is_a_need(fields, needs):
    """A tool that is merely offered can be left out."""
    assert needs_of(raw(**fields), bound=False) == needs
    assert needs_of(raw(**fields), bound=True) == needs | {Need.SEALED}


def test_what_the_backend_refuses_is_kept_for_those_who_heed_it():
    """What it takes as well travels in the body."""
    kept = {"temperature": 0.5, "max_output_tokens": 5, "include": [], "service_tier": "flex"}
    told = tuning_of(raw(**kept, input="x", store=True, top_p=None))
    assert msgspec.json.decode(told) == kept
    assert tuning_of(raw(input="x", service_tier="priority")) == b""


def test_a_choice_that_can_be_none_is_refused():
    """Its place is told."""
    with pytest.raises(InvalidRequest) as caught:
        needs_of(raw(tool_choice={"type": 5}), bound=False)
    assert caught.value.param == "tool_choice.type"
