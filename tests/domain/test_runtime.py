"""Tests of app.domain.runtime."""

import msgspec
import pytest

from app.domain.runtime import RuntimeSettings
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
    ],
)
def test_a_choice_out_of_bounds_is_refused(document: bytes) -> None:
    """A document from outside is checked against the bounds."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(document, type=RuntimeSettings)
