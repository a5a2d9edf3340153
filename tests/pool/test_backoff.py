"""Waits grow, and end at their maximum."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.pool.backoff import delay_s


@given(attempt=st.integers(1, 10_000), seed=st.integers())
def test_a_wait_is_between_half_and_the_whole_of_its_ceiling(attempt, seed):
    """However often it failed before."""
    wait_s = delay_s(attempt, first_s=0.2, max_s=60.0, rng=Random(seed))
    ceiling = min(60.0, 0.2 * 2.0 ** min(attempt - 1, 100))
    assert ceiling / 2 <= wait_s <= ceiling


@pytest.mark.parametrize(("attempt", "ceiling"), [(1, 1.0), (2, 2.0), (3, 4.0), (4, 5.0), (5, 5.0)])
def test_the_ceiling_doubles_until_the_maximum(attempt, ceiling):
    """From the first wait on."""

    class Highest(Random):
        def random(self) -> float:
            return 1.0

    assert delay_s(attempt, first_s=1.0, max_s=5.0, rng=Highest()) == ceiling
