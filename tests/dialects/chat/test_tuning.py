"""Tests of app.dialects.chat.tuning."""

import msgspec
import pytest

from app.dialects.chat.tuning import tuning_of


def tuned(**fields):
    """Return the tuning of a request with these fields."""
    raw = msgspec.json.decode(msgspec.json.encode(fields), type=dict[str, msgspec.Raw])
    told = tuning_of(raw)
    return msgspec.json.decode(told) if told else None


def test_what_tunes_an_answer_is_kept_as_it_was_written():
    """And nothing else: messages and tools travel in the body."""
    fields = {"temperature": 0.5, "stop": ["a"], "seed": 1, "logit_bias": {"5": 2}}
    assert tuned(**fields, messages=[], tools=[], stream=True) == fields
    assert tuned(messages=[]) is None
    assert tuned(temperature=None, stop=None) is None


@pytest.mark.parametrize(
    ("limits", "kept"),
    [
        ({"max_tokens": 5}, 5),
        ({"max_completion_tokens": 6}, 6),
        ({"max_tokens": 5, "max_completion_tokens": 6}, 6),
        ({"max_tokens": 5, "max_completion_tokens": None}, 5),
    ],
)
def test_the_limit_goes_by_its_name_in_responses(limits, kept):
    """Of its two names in chat the newer one counts."""
    assert tuned(**limits) == {"max_output_tokens": kept}


@pytest.mark.parametrize(("tier", "kept"), [("flex", True), ("auto", False), ("priority", False)])
def test_only_a_cheap_tier_is_tuning(tier, kept):
    """The fast one stands in the body, the usual one says nothing."""
    assert tuned(service_tier=tier) == ({"service_tier": tier} if kept else None)
