"""Token counts."""

from app.domain.usage import Usage


def test_the_total_counts_nothing_twice():
    """Cached tokens are part of the input, reasoning tokens part of the output."""
    assert Usage(input=10, cached=8, output=5, reasoning=4).total == 15
