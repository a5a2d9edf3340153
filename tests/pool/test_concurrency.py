"""A window finds its size, and no refusal counts twice."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.pool.concurrency import accepted, bounded, opened, pressed, restarted
from app.pool.state import AccountState, Health
from tests.fakes.accounts import account


def state(window: float = 8.0, threshold: float = 16.0, **changes: Any) -> AccountState:
    """Return an account with this window whose calls fill it."""
    fields = {"window": window, "threshold": threshold, "in_flight": int(window), "turn": 100}
    bound = changes.pop("bound", 32)
    return AccountState(account(concurrency_max=bound), **(fields | changes))


@pytest.mark.parametrize(("bound", "window"), [(100, 100.0), (32, 32.0), (1, 1.0), (0, 1.0)])
def test_a_new_account_is_given_all_that_the_operator_allows(bound, window):
    """And one call in any case."""
    known = state(bound=bound)
    opened(known)
    assert (known.window, known.threshold) == (window, window)


@pytest.mark.parametrize(
    ("window", "bound", "expected"),
    [
        (8.0, 4, (4.0, 4.0)),
        (8.0, 8, (8.0, 8.0)),
        (8.0, 100, (8.0, 100.0)),
        (1.5, 0, (1.0, 1.0)),
    ],
)
def test_a_changed_bound_counts(window, bound, expected):
    """A lower one at once; what a higher one allows is found by slow start."""
    known = state(window, bound=bound)
    bounded(known)
    assert (known.window, known.threshold) == expected


@pytest.mark.parametrize(
    ("window", "threshold", "expected"),
    [
        (32.0, 32.0, (1.0, 16.0)),
        (9.0, 32.0, (1.0, 4.5)),
        (4.0, 9.0, (1.0, 2.0)),
        (1.5, 9.0, (1.0, 2.0)),
        (1.0, 9.0, (1.0, 9.0)),
    ],
)
def test_a_restart_begins_with_one_call(window, threshold, expected):
    """The threshold is half of what it was; an outage of many probes halves once."""
    known = state(window, threshold)
    restarted(known)
    assert (known.window, known.threshold) == expected
    restarted(known)
    assert (known.window, known.threshold) == expected


@pytest.mark.parametrize(
    ("window", "threshold", "in_flight", "expected"),
    [
        (1.0, 16.0, 1, 2.0),
        (8.0, 16.0, 8, 9.0),
        (15.0, 16.0, 15, 16.0),
        (15.5, 16.0, 15, 16.5),
        (16.0, 16.0, 16, 16.0625),
        (20.0, 16.0, 20, 20.05),
        (8.0, 16.0, 4, 9.0),
        (8.0, 16.0, 3, 8.0),
        (9.9, 16.0, 5, 10.9),
        (9.0, 16.0, 4, 9.0),
        (20.0, 16.0, 9, 20.0),
        (31.99, 32.0, 31, 32.0),
        (31.99, 16.0, 31, 32.0),
        (32.0, 64.0, 32, 32.0),
        (40.0, 64.0, 32, 32.0),
    ],
)
def test_a_window_grows_while_it_is_used(window, threshold, in_flight, expected):
    """By a call up to the threshold, by a share of one above it, and never over the bound."""
    known = state(window, threshold, in_flight=in_flight)
    accepted(known)
    assert (known.window, known.threshold) == (expected, threshold)


@pytest.mark.parametrize("status", [status for status in Health if status != Health.READY])
def test_only_the_window_of_who_is_ready_grows(status):
    """What began before a rest says nothing of what the account takes after it."""
    known = state(health=status)
    accepted(known)
    assert known.window == 8.0


def test_a_used_window_doubles_a_round_and_then_grows_by_one():
    """All calls of a round are taken before those of the next are leased."""
    known, windows = state(1.0, 8.0), []
    for _ in range(6):
        known.in_flight = known.cap
        for _ in range(known.in_flight):
            accepted(known)
        windows.append(known.cap)
    assert windows == [2, 4, 8, 8, 9, 10]


@pytest.mark.parametrize(
    ("window", "expected"),
    [(32.0, (16.0, 16.0)), (5.0, (2.5, 2.5)), (3.0, (1.5, 2.0)), (1.5, (1.0, 2.0))],
)
def test_a_refusal_halves_the_window(window, expected):
    """It goes on growing by ones; nothing is less than one call."""
    known = state(window, 32.0)
    pressed(known, number=100)
    assert (known.window, known.threshold, known.pressed_turn) == (*expected, 100)


def test_thirty_refusals_of_one_burst_halve_once():
    """The first one's round is all that was leased until then; a later lease begins another."""
    known = state(32.0, 32.0, turn=130)
    for number in range(101, 131):
        pressed(known, number=number)
        known.turn = max(known.turn, 131)
    assert (known.window, known.pressed_turn) == (16.0, 130)
    pressed(known, number=131)
    assert (known.window, known.pressed_turn) == (8.0, 131)


@given(
    bound=st.integers(-1, 60),
    steps=st.lists(st.tuples(st.sampled_from("orapb"), st.integers(0, 60)), max_size=80),
)
def test_a_window_is_between_one_call_and_the_bound(bound, steps):
    """Whatever happens."""
    known = state(bound=bound)
    opened(known)
    for number, (step, in_flight) in enumerate(steps, 101):
        known.turn, known.in_flight = number, in_flight
        match step:
            case "o":
                opened(known)
            case "r":
                restarted(known)
            case "a":
                accepted(known)
            case "p":
                pressed(known, number=number)
            case "b":
                bounded(known)
        assert 1.0 <= known.window <= max(1, bound)
        assert 1 <= known.cap <= max(1, bound)
