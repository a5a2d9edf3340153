"""A peak counts at once and decays; a failure is a long wait; an unknown account costs a prior."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.pool.latency import (
    FAILURE_WAIT_S,
    MEAN_HALF_LIFE_S,
    PEAK_HALF_LIFE_S,
    PRIOR_S,
    WAIT_MIN_S,
    expected_wait_s,
    observe,
    penalise,
)
from app.pool.state import AccountState
from tests.fakes.accounts import account

NOW = 1_000.0


def state(**changes: Any) -> AccountState:
    """Return an account of which nothing is known but the changes."""
    return AccountState(account(), **changes)


def test_the_figures_are_those_of_the_design():
    """A second for the unknown, half a minute for a failure, ten seconds for a peak."""
    figures = (PRIOR_S, FAILURE_WAIT_S, PEAK_HALF_LIFE_S, MEAN_HALF_LIFE_S, WAIT_MIN_S)
    assert figures == (1.0, 30.0, 10.0, 600.0, 0.01)


@pytest.mark.parametrize("now", [0.0, NOW, 1e12])
def test_an_unknown_account_has_the_prior(now):
    """At any time."""
    assert expected_wait_s(state(), now=now) == PRIOR_S


@pytest.mark.parametrize("wait_s", [0.3, 1.0, 8.0])
def test_the_first_wait_is_believed(wait_s):
    """As average and as peak."""
    known = state()
    observe(known, wait_s, now=NOW)
    assert (known.wait_s, known.wait_mean_s, known.wait_at) == (wait_s, wait_s, NOW)
    assert expected_wait_s(known, now=NOW) == pytest.approx(wait_s)


@pytest.mark.parametrize(
    ("wait_s", "counted"), [(-1.0, 0.01), (0.0, 0.01), (0.02, 0.02), (29.0, 29.0), (300.0, 30.0)]
)
def test_a_wait_counts_within_bounds(wait_s, counted):
    """None is free, and none is worse than a failure."""
    known = state()
    observe(known, wait_s, now=NOW)
    assert known.wait_s == counted


@pytest.mark.parametrize(
    ("passed_s", "expected"), [(0.0, 9.0), (10.0, 5.0), (20.0, 3.0), (30.0, 2.0), (-5.0, 9.0)]
)
def test_a_peak_halves_its_distance_to_the_average_in_ten_seconds(passed_s, expected):
    """The clock may go backwards; the peak doesn't grow then."""
    known = state(wait_s=9.0, wait_mean_s=1.0, wait_at=NOW)
    assert expected_wait_s(known, now=NOW + passed_s) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("mean_s", "passed_s", "expected"),
    [(9.0, 600.0, 5.0), (9.0, 1_200.0, 3.0), (0.2, 600.0, 0.6), (9.0, 1e12, 1.0), (0.2, 1e12, 1.0)],
)
def test_an_average_is_forgotten_in_the_course_of_an_hour(mean_s, passed_s, expected):
    """So that a slow account is tried again one day, and a fast one has to show it again."""
    known = state(wait_s=mean_s, wait_mean_s=mean_s, wait_at=NOW)
    assert expected_wait_s(known, now=NOW + passed_s) == pytest.approx(expected)


def test_a_slow_wait_counts_at_once_and_a_fast_one_slowly():
    """The average moves by an eighth; the peak is the slow one, and outlives fast ones."""
    known = state(wait_s=2.0, wait_mean_s=2.0, wait_at=NOW)
    observe(known, 10.0, now=NOW)
    assert (known.wait_s, known.wait_mean_s) == (10.0, 3.0)
    observe(known, 1.0, now=NOW)
    assert (known.wait_s, known.wait_mean_s) == (10.0, 2.75)
    assert expected_wait_s(known, now=NOW) == 10.0
    observe(known, 1.0, now=NOW + 10.0)
    mean_s = 2.0 ** (-10 / 600) * 1.75 + 1.0
    assert known.wait_mean_s == pytest.approx(mean_s - (mean_s - 1.0) / 8)
    assert known.wait_s == pytest.approx(mean_s + 7.25 / 2)
    assert known.wait_at == NOW + 10.0


def test_a_wait_above_the_average_is_the_peak_once_the_old_one_is_lower():
    """However little is left of the old one."""
    known = state(wait_s=9.0, wait_mean_s=1.0, wait_at=NOW)
    observe(known, 4.0, now=NOW + 40.0)
    assert known.wait_s == 4.0


def test_a_failure_is_a_peak_and_no_part_of_the_average():
    """It is all but forgotten within a minute."""
    known = state(wait_s=5.0, wait_mean_s=5.0, wait_at=NOW)
    penalise(known, now=NOW + 600.0)
    assert (known.wait_s, known.wait_at) == (30.0, NOW + 600.0)
    assert known.wait_mean_s == pytest.approx(3.0)
    assert expected_wait_s(known, now=NOW + 600.0) == pytest.approx(30.0)
    assert expected_wait_s(known, now=NOW + 660.0) < 3.5


def test_a_failure_of_an_unknown_account_leaves_it_unknown():
    """Its first wait is believed afterwards, and the peak decays to it."""
    known = state()
    penalise(known, now=NOW)
    assert expected_wait_s(known, now=NOW) == 30.0
    assert expected_wait_s(known, now=NOW + 10.0) == 15.5
    observe(known, 0.5, now=NOW + 10.0)
    assert (known.wait_mean_s, known.wait_s) == (0.5, 15.5)


@given(
    steps=st.lists(
        st.tuples(
            st.one_of(st.none(), st.floats(-10.0, 1e6)),
            st.floats(-1e5, 1e9),
        ),
        max_size=40,
    )
)
def test_a_wait_is_never_0_and_never_longer_than_a_failure(steps):
    """Whatever was seen, and whenever."""
    known, now = state(), NOW
    for wait_s, passed_s in steps:
        now += passed_s
        if wait_s is None:
            penalise(known, now=now)
            assert expected_wait_s(known, now=now) == pytest.approx(FAILURE_WAIT_S)
        else:
            observe(known, wait_s, now=now)
            least_s = min(FAILURE_WAIT_S, max(WAIT_MIN_S, wait_s))
            assert expected_wait_s(known, now=now) >= least_s * 0.999
        assert WAIT_MIN_S * 0.999 <= expected_wait_s(known, now=now) <= FAILURE_WAIT_S * 1.001
