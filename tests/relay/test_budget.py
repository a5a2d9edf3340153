"""The budget of retries: a share of the calls of the last seconds, and never more."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.relay.budget import RETRIES_MIN, SHARE, WINDOW_S, RetryBudget


def spent(budget: RetryBudget, now: float, *, of: int = 10_000) -> int:
    """Return how many of so many retries the budget pays for."""
    return sum(budget.spend(now) for _ in range(of))


def test_a_quiet_gateway_has_a_few_retries():
    """Without any calls in the window."""
    assert spent(RetryBudget(), 1_000.0) == RETRIES_MIN
    assert spent(RetryBudget(retries_min=3), 0.0) == 3


def test_a_busy_gateway_has_a_share_of_its_calls():
    """Of those in the window, and a few on top."""
    budget = RetryBudget()
    for call in range(1_000):
        budget.count(50.0 + call / 125)
    assert spent(budget, 58.0) == RETRIES_MIN + SHARE * 1_000


def test_an_outage_is_hardly_multiplied():
    """All calls fail for a minute: a fifth more attempts than calls, and the few."""
    budget = RetryBudget()
    attempts = calls = 0
    for tick in range(6_000):
        now = 7.0 + tick / 100
        budget.count(now)
        calls += 1
        attempts += 1 + spent(budget, now, of=3)
    assert attempts <= calls * (1 + SHARE) + 7 * RETRIES_MIN


@pytest.mark.parametrize("later_s", [WINDOW_S, WINDOW_S + 0.5, 3 * WINDOW_S, 1e6])
def test_what_is_older_than_the_window_is_forgotten(later_s):
    """Calls and retries alike."""
    budget = RetryBudget()
    for _ in range(100):
        budget.count(20.0)
    assert spent(budget, 20.9) == RETRIES_MIN + 20
    assert spent(budget, 20.0 + WINDOW_S - 0.1) == 0
    assert spent(budget, 20.0 + later_s) == RETRIES_MIN


def test_who_is_refused_is_told_when_there_is_room_again():
    """When the oldest retries leave the window."""
    budget = RetryBudget(retries_min=2)
    assert budget.empty_for_s(100.5) == 0.0
    assert [budget.spend(100.5), budget.spend(103.5), budget.spend(103.7)] == [True, True, False]
    assert budget.empty_for_s(103.75) == 6.25
    assert budget.spend(103.75 + 6.25)
    assert budget.empty_for_s(110.0) == 3.0
    assert budget.empty_for_s(200.0) == 0.0


def test_a_clock_that_stands_still_or_steps_back_is_borne():
    """What is said to come from the past is counted as now."""
    budget = RetryBudget(retries_min=1)
    budget.count(30.0)
    assert budget.spend(30.0)
    budget.count(10.0)
    assert not budget.spend(10.0)


@given(
    steps=st.lists(st.tuples(st.booleans(), st.integers(0, 40).map(lambda n: n / 4)), max_size=60)
)
def test_the_counts_are_those_of_the_window(steps):
    """Against a list of everything that happened."""
    budget, now = RetryBudget(retries_min=2), 5.0
    calls: deque[int] = deque()
    retries: deque[int] = deque()
    for is_call, wait_s in steps:
        now += wait_s
        for moments in (calls, retries):
            while moments and moments[0] <= int(now) - WINDOW_S:
                moments.popleft()
        if is_call:
            budget.count(now)
            calls.append(int(now))
        else:
            allowed = len(retries) < 2 + int(SHARE * len(calls))
            assert budget.spend(now) is allowed
            if allowed:
                retries.append(int(now))
