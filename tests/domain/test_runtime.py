"""Tests of app.domain.runtime."""

import msgspec
import pytest

from app.domain.runtime import RuntimeSettings, without_unknown_words
from app.limits import Limits


def test_the_defaults_are_the_limits() -> None:
    """An operator who never chose gets what the code was measured with."""
    settings, limits = RuntimeSettings(), Limits()
    assert settings.first_event_timeout_s == limits.first_event_timeout_s
    assert settings.attempts_max == limits.attempts_max


@pytest.mark.parametrize(
    "document",
    [
        b'{"attempts_max": 0}',
        b'{"idle_timeout_s": 0.5}',
        b'{"strategy": "hope"}',
        b'{"model_aliases": {"": "gpt"}}',
        b'{"prices": {"m": {"input_usd_per_mtok": 1}}}',
        b'{"prices": {"m": {"input_usd_per_mtok": -1, "output_usd_per_mtok": 1}}}',
        b'{"prices": {"m": {"input_usd_per_mtok": 1, "output_usd_per_mtok": 1e9}}}',
    ],
)
def test_a_choice_out_of_bounds_is_refused(document: bytes) -> None:
    """A document from outside is checked against the bounds."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(document, type=RuntimeSettings)


@pytest.mark.parametrize(
    ("document", "known", "unknown"),
    [
        ({}, {}, {}),
        ({"strategy": "round_robin"}, {"strategy": "round_robin"}, {}),
        (
            {"strategy": "least_busy", "pause_at": 0.5},
            {"pause_at": 0.5},
            {"strategy": "least_busy"},
        ),
        ({"explain": "loudly"}, {}, {"explain": "loudly"}),
        # What is no word at all is not another version's, so it is left for the decoder to refuse.
        ({"strategy": 1}, {"strategy": 1}, {}),
        ({"from_the_future": "x"}, {"from_the_future": "x"}, {}),
    ],
)
def test_a_word_of_another_version_counts_as_not_chosen(document, known, unknown) -> None:
    """A strategy that is gone, or not yet there, keeps no gateway from starting."""
    assert without_unknown_words(document) == (known, unknown)
