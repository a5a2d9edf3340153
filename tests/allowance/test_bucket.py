"""Tests of app.allowance.bucket."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.allowance.bucket import Bucket


def test_a_full_bucket_lets_a_minutes_worth_through_at_once():
    """And then one unit every part of a minute."""
    bucket = Bucket(3.0, 0.0)
    for _ in range(3):
        assert bucket.wait_s(1, 3, now=0.0) == 0
        bucket.take(1)
    assert bucket.wait_s(1, 3, now=0.0) == pytest.approx(20.0)
    assert bucket.wait_s(1, 3, now=20.0) == 0
    assert bucket.full_in_s(3) == pytest.approx(40.0)


def test_a_refusal_takes_nothing():
    """Whoever keeps asking is let in when the wait that was told is over."""
    bucket = Bucket(0.0, 0.0)
    waits = [bucket.wait_s(1, 60, now=t / 10) for t in range(10)]
    assert waits == pytest.approx([1.0 - t / 10 for t in range(10)])
    assert bucket.wait_s(1, 60, now=1.0) == pytest.approx(0.0)


def test_it_never_holds_more_than_its_size():
    """A night without calls saves up no more than a minute's worth."""
    bucket = Bucket(5.0, 0.0)
    bucket.fill(5, now=1e6)
    assert bucket.level == 5.0


def test_what_others_took_leaves_no_more_than_a_minutes_debt():
    """A debt of one's own stays as it is, and what they give back is there again."""
    bucket = Bucket(10.0, 0.0)
    bucket.lose(4.0, 10, now=0.0)
    assert bucket.level == 6.0
    bucket.lose(100.0, 10, now=0.0)
    assert bucket.level == -10.0
    bucket.take(5.0)
    bucket.lose(1.0, 10, now=0.0)
    assert bucket.level == -15.0
    bucket.lose(-2.0, 10, now=0.0)
    assert bucket.level == -13.0


def test_a_lower_limit_counts_at_once():
    """As when an operator lowers it."""
    bucket = Bucket(100.0, 0.0)
    bucket.fill(10, now=0.0)
    assert bucket.level == 10.0


def test_debt_is_paid_before_anything_passes():
    """A call that took more than it reserved."""
    bucket = Bucket(10.0, 0.0)
    bucket.take(70)
    assert bucket.wait_s(1, 60, now=0.0) == pytest.approx(61.0)


def test_what_never_fits_passes_when_it_is_full():
    """Otherwise it would never pass; the debt keeps the rate."""
    bucket = Bucket(10.0, 0.0)
    assert bucket.wait_s(100, 10, now=0.0) == 0
    bucket.take(100)
    assert bucket.wait_s(1, 10, now=0.0) == pytest.approx(91 * 6.0)


def test_a_clock_that_steps_back_gives_nothing():
    """And takes nothing."""
    bucket = Bucket(1.0, 100.0)
    bucket.fill(60, now=50.0)
    assert (bucket.level, bucket.at) == (1.0, 50.0)


@given(
    limit=st.integers(1, 1_000),
    calls=st.lists(st.tuples(st.floats(0, 30), st.integers(1, 50)), min_size=1, max_size=60),
)
def test_no_minute_lets_more_through_than_two_buckets(limit, calls):
    """What is in it at first, what flows in, and the last call's overdraft: never more."""
    bucket, now, passed = Bucket(float(limit), 0.0), 0.0, []
    for pause, wanted in calls:
        now += pause
        if bucket.wait_s(wanted, limit, now=now) == 0:
            bucket.take(wanted)
            passed.append((now, wanted))
    largest = max(wanted for _, wanted in calls)
    for start, _ in passed:
        within = sum(wanted for at, wanted in passed if start <= at < start + 60.0)
        assert within <= 2 * limit + largest + 1e-6
