"""What an outage has shown is told apart from what must not be."""

import math

import pytest

from loadtests.callers import Seen
from loadtests.outages.verdict import Pace, Window, failures, misjudged, pace, percentile


def test_a_percentile_is_one_of_the_values():
    """The nearest rank; of nothing it is nothing."""
    assert [percentile([3.0, 1.0, 2.0, 4.0], share) for share in (0.0, 0.5, 0.75, 0.99)] == [
        1.0, 2.0, 3.0, 4.0,
    ]  # fmt: skip
    assert percentile([], 0.5) == 0.0


def test_two_sides_are_compared():
    """A side without calls proves nothing."""
    slow, quick = Seen("a", stream=True, seconds=3.0), Seen("b", stream=True, seconds=2.0)
    assert pace([slow], [quick]).ratio == 1.5
    assert Pace(1.0, 0.0).ratio == math.inf


def test_a_window_has_the_calls_that_began_in_it():
    """Its end is not in it."""
    seen = [Seen(str(at), stream=True, at=at) for at in (0.9, 1.0, 1.9, 2.0)]
    assert [each.request_id for each in Window(1.0, 2.0).of(seen)] == ["1.0", "1.9"]


def test_a_call_that_did_not_end_has_failed():
    """Whatever its status."""
    cut = Seen("x", stream=True, status=200, content=True, code="ReadError")
    assert failures([cut, Seen("y", stream=True, ended=True)]) == ["x: status 200 ReadError"]


@pytest.mark.parametrize(("kind", "away", "good"), [
    ("known", True, {200}), ("known", False, {200}), ("late", True, {200, 503}),
    ("late", False, {200}), ("wrong", True, {503}), ("wrong", False, {401}),
])  # fmt: skip
def test_every_key_has_its_answers(kind, away, good):
    """A good key never gets 401, a wrong one never 200."""
    judged = {status for status in (200, 401, 503) if not misjudged([(kind, status)], away=away)}
    assert judged == good
