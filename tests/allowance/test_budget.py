"""Tests of app.allowance.budget."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.allowance.budget import Period, Purse, began_at, ends_at


def epoch(*parts: int) -> float:
    """Return the epoch seconds of a moment of UTC."""
    return datetime(*parts, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("period", "now", "first", "after"),
    [
        (Period.DAY, (2026, 11, 22, 13, 5), (2026, 11, 22), (2026, 11, 23)),
        (Period.DAY, (2026, 12, 31, 23, 59, 59), (2026, 12, 31), (2027, 1, 1)),
        (Period.MONTH, (2026, 11, 22, 13, 5), (2026, 11, 1), (2026, 12, 1)),
        (Period.MONTH, (2026, 12, 1), (2026, 12, 1), (2027, 1, 1)),
        (Period.MONTH, (2028, 2, 29, 12), (2028, 2, 1), (2028, 3, 1)),
        (Period.MONTH, (1970, 1, 1), (1970, 1, 1), (1970, 2, 1)),
    ],
)
def test_periods_are_those_of_the_calendar(period, now, first, after):
    """Of UTC, whatever the length of the month."""
    assert began_at(period, now=epoch(*now)) == epoch(*first)
    assert ends_at(period, now=epoch(*now)) == epoch(*after)


@given(st.floats(0, 4e9), st.sampled_from(list(Period)))
def test_every_moment_lies_in_its_period(now, period):
    """And the next one begins where it ends."""
    start, end = began_at(period, now=now), ends_at(period, now=now)
    assert start <= now < end
    assert began_at(period, now=end) == end


def test_a_purse_affords_what_is_neither_spent_nor_reserved():
    """To the last nano-dollar."""
    purse = Purse(Period.DAY, 0, 86_400, spent=40, reserved=50)
    assert purse.affords(10, 100)
    assert not purse.affords(11, 100)


@pytest.mark.parametrize("period", list(Period))
def test_a_new_period_begins_with_what_is_under_way(period):
    """What was spent is over, what is reserved is not."""
    purse = Purse.new(period, now=0.0)
    purse.spent, purse.reserved = 40, 50
    end = purse.ends_at
    purse.turn(now=end - 1.0)
    assert purse.spent == 40
    purse.turn(now=float(end))
    assert (purse.began_at, purse.spent, purse.reserved) == (end, 0, 50)
    assert purse.ends_at == ends_at(period, now=end)


def test_a_clock_that_steps_back_gives_no_money_back():
    """The day that was begun goes on."""
    purse = Purse.new(Period.DAY, now=86_400.0)
    purse.spent = 40
    purse.turn(now=100.0)
    assert (purse.began_at, purse.spent) == (86_400, 40)
