"""A violation names its invariant first, so that a report can be sorted by it."""

import pytest

from app.simulation.violation import Violation


def test_a_violation_says_which_invariant_is_broken():
    """Tests and people ask for the same thing."""
    with pytest.raises(AssertionError, match=r"^I7: a has 9 calls$") as caught:
        raise Violation("I7", "a has 9 calls")
    assert caught.value.invariant == "I7"
