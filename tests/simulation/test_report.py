"""A report compares the strategies by what they served."""

import pytest

from app.domain.runtime import Strategy
from app.domain.usage import Usage
from app.simulation.ledger import BUCKETS, Ledger
from app.simulation.plan import Accounts, Load, Plan, Window
from app.simulation.report import best, compare, result

PLAN = Plan(
    accounts=(Accounts(count=2, windows=(Window(minutes=60, tokens=200_000),)),),
    load=Load(calls_per_minute=2),
    hours=2.0,
)


def ledger(*, served=0, refused=0, waits=()):
    """Return one of four hours, with calls of 100 tokens."""
    made = Ledger(length_s=4 * 3_600.0)
    made.arrived = served + refused
    made.wished_tokens = 100 * made.arrived
    for number in range(served):
        made.note_served(0.0, waits[number] if number < len(waits) else 0.0, Usage(input=100))
    for _ in range(refused):
        made.note_refused(7_200.0, "usage_limit_reached", limited=True)
    return made


@pytest.mark.parametrize(
    ("capacity", "oracle", "regret"),
    [(float("inf"), 1_000, 0.2), (1_000.0, 1_000, 0.2), (900.0, 900, 1 / 9), (800.0, 800, 0.0)],
)
def test_the_regret_is_what_an_oracle_would_have_served_besides(capacity, oracle, regret):
    """It can serve no more than was wished for, and no more than the windows let through."""
    made = result(Strategy.BALANCED, ledger(served=8, refused=2), capacity)
    assert made.oracle_tokens == oracle
    assert made.regret == pytest.approx(regret)


def test_a_little_more_than_the_windows_is_no_negative_regret():
    """The call during which a window fills goes beyond it."""
    assert result(Strategy.BALANCED, ledger(served=8), 700.0).regret == 0.0
    assert result(Strategy.BALANCED, ledger(), 0.0).regret == 0.0


def test_a_result_has_the_waits_and_the_end_of_the_quota():
    """Half of the calls waited no longer than the median."""
    waits = [float(n) for n in range(100)]
    made = result(Strategy.BALANCED, ledger(served=100, refused=3, waits=waits), float("inf"))
    assert (made.wait_p50_s, made.wait_p99_s) == (50.0, 99.0)
    assert (made.exhausted_at_hour, made.limited_hours) == (2.0, 4.0 / BUCKETS)
    assert (made.refused, made.refused_count) == ({"usage_limit_reached": 3}, 3)
    assert made.refused_calls[BUCKETS // 2] == 3
    assert result(Strategy.BALANCED, ledger(), float("inf")).wait_p99_s == 0.0


def test_the_best_strategy_serves_most():
    """Among those that serve nearly the same the shortest waits decide."""
    few = result(Strategy.BALANCED, ledger(served=900), float("inf"))
    slow = result(Strategy.ROUND_ROBIN, ledger(served=2_000, waits=[9.0] * 99), float("inf"))
    quick = result(Strategy.FILL_FIRST, ledger(served=1_999), float("inf"))
    assert best([few, slow, quick]) is quick
    assert best([few, slow]) is slow


def test_every_strategy_is_played_with_the_same_calls():
    """Only what becomes of them differs; each bucket of each run is told."""
    told = []
    results = compare(PLAN, list(Strategy), on_progress=lambda: told.append(1))
    assert [made.strategy for made in results] == list(Strategy)
    assert len(told) == BUCKETS * len(Strategy)
    assert len({(made.calls, made.wished_tokens, made.oracle_tokens) for made in results}) == 1
    assert len({made.digest for made in results}) > 1
    assert all(made.served > 0 for made in results)
