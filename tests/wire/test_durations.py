"""Durations are read however upstreams write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.wire.durations import DURATION_S_MAX, duration_s


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("11.054s", 11.054),
        ("28ms", 0.028),
        ("6m0s", 360),
        ("1h2m3.5s", 3723.5),
        ("1h 2m", 3720),
        ("20 seconds", 20),
        ("1 minute", 60),
        ("2 Hours", 7200),
        ("1d", 86_400),
        ("500us", 0.0005),
        ("99999d", DURATION_S_MAX),
        ("", None),
        ("20", None),
        ("s", None),
        ("-5s", None),
        ("5 parsecs", None),
        ("5s later", None),
    ],
)
def test_a_duration_is_read_in_seconds(text, seconds):
    """What isn't one is None, and nothing is over a year."""
    assert duration_s(text) == (None if seconds is None else pytest.approx(seconds))


@given(st.text(max_size=40))
def test_any_text_gets_an_answer(text):
    """The answer is bounded."""
    seconds = duration_s(text)
    assert seconds is None or 0 <= seconds <= DURATION_S_MAX
