"""The choice among accounts that may take a call: each strategy by its own rank."""

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.quota import MAIN_FAMILY
from app.domain.runtime import Strategy
from app.pool.orders import Order
from app.pool.selection import (
    LEFT_MIN,
    TIGHT,
    Chooser,
    chooser,
    cost,
    fill_first,
    idle_longest,
    least_used,
    remaining_quota,
    spent,
    wait_s,
)
from app.pool.state import AccountState, Gauge, Health
from tests.fakes.accounts import account

NOW = 1_000.0
LATER = 9_000.0
NOBODY: frozenset = frozenset()


def state(name: str = "a", **changes) -> AccountState:
    """Return an account that nothing tells from others but what is given."""
    return AccountState(account(name), **changes)


def gauge(used: float = 0.0, tokens: int = 0, reset_at: float | None = LATER) -> Gauge:
    """Return a quota window."""
    return Gauge(used, reset_at, seen_at=NOW, began_at=0.0, tokens=tokens)


def used(share: float, name: str = "a", **changes) -> AccountState:
    """Return an account that has used so much of its window."""
    return state(name, windows={(MAIN_FAMILY, 300): gauge(share)}, **changes)


def filled(choose: Chooser, *lots: list[AccountState]) -> list[Order]:
    """Return an order for each list of accounts."""
    made = []
    for members in lots:
        order = choose.order()
        for member in members:
            order.add(member, NOW)
        made.append(order)
    return made


def pick(choose: Chooser, made: list[Order], hidden=NOBODY, now=NOW) -> str | None:
    """Return the name of the chosen account."""
    found = choose.choose(made, hidden, MAIN_FAMILY, now)
    return found and found.account.id


@pytest.mark.parametrize("strategy", Strategy)
def test_of_nobody_nobody_is_chosen(strategy):
    """Neither from an empty order, nor from several, nor if all are hidden."""
    choose = chooser(strategy, Random(1))
    assert pick(choose, filled(choose, [])) is None
    assert pick(choose, filled(choose, [], [])) is None
    assert pick(choose, filled(choose, [state()]), {"a"}) is None
    assert pick(choose, filled(choose, [state()], [], [state("b")]), {"a", "b"}) is None


def test_no_strategy_is_forgotten():
    """One that nobody wrote a chooser for is a defect, and says so."""
    with pytest.raises(AssertionError):
        chooser("best", Random(1))


@pytest.mark.parametrize("strategy", Strategy)
@pytest.mark.parametrize("seed", range(10))
def test_a_hidden_account_is_not_chosen(strategy, seed):
    """However few others there are, and in whatever order they stand."""
    choose = chooser(strategy, Random(seed))
    one = [state(f"a{n}", ordinal=n) for n in range(5)]
    two = [state(f"b{n}", ordinal=9 + n) for n in range(2)]
    hidden = {"a0", "a1", "a2", "a3", "a4", "b0"}
    for made in (filled(choose, one, [], two), filled(choose, two, one), filled(choose, one + two)):
        assert {pick(choose, made, hidden) for _ in range(10)} == {"b1"}


@pytest.mark.parametrize("sizes", [[1], [2], [7], [50], [1, 9], [3, 1, 4]])
@pytest.mark.parametrize("strategy", [s for s in Strategy if s is not Strategy.FILL_FIRST])
def test_equal_accounts_get_equal_shares(strategy, sizes):
    """Within a tenth, over however many shelves, if every call takes as long as every other.

    If calls end at random, who is least busy depends on chance, so nobody can be even by that.
    """
    at_random = strategy is not Strategy.REMAINING_QUOTA
    choose = chooser(strategy, Random(7))
    count = sum(sizes)
    lots = [[state(f"a{n}.{m}") for m in range(size)] for n, size in enumerate(sizes)]
    made = filled(choose, *lots)
    taken: Counter[str] = Counter()
    running: list[tuple[Order, AccountState]] = []
    rng = Random(7)
    for turn in range(1, 200 * count + 1):
        chosen = choose.choose(made, NOBODY, MAIN_FAMILY, NOW)
        order = next(order for order, lot in zip(made, lots, strict=True) if chosen in lot)
        chosen.in_flight += 1
        chosen.turn = turn
        chosen.tokens += 100
        taken[chosen.account.id] += 1
        running.append((order, chosen))
        if len(running) > 3 * count:
            order, ended = running.pop(rng.randrange(len(running)) if at_random else 0)
            ended.in_flight -= 1
            order.moved(ended, NOW)
    assert len(taken) == count
    assert all(abs(n - 200) <= 20 for n in taken.values()), taken


def test_the_cheaper_of_two_goes_first():
    """Busy is measured by how many places an account has."""
    small = AccountState(account("small", concurrency_max=2), in_flight=1)
    large = AccountState(account("large", concurrency_max=32), in_flight=10)
    choose = chooser(Strategy.BALANCED, Random(3))
    made = filled(choose, [small, large])
    chosen = Counter(pick(choose, made) for _ in range(400))
    assert chosen["large"] > 2 * chosen["small"]


class NoChance(Random):
    """Fails whoever draws."""

    def random(self):
        """Fail."""
        raise AssertionError


def test_an_idle_account_at_its_best_is_taken_unseen_by_another():
    """In its turn; a second one is drawn only if the first is busy, slow or tight."""
    choose = chooser(Strategy.BALANCED, NoChance())
    members = [state("a"), state("b", health=Health.PROBING), used(0.7, "c")]
    made = filled(choose, members)
    assert sorted(pick(choose, made) for _ in range(6)) == ["a", "a", "b", "b", "c", "c"]
    slow = state(wait_s=5.0, wait_mean_s=5.0, wait_at=NOW)
    for worse in (state(in_flight=1), slow, used(0.8)):
        with pytest.raises(AssertionError):
            pick(choose, filled(choose, [worse]))


@pytest.mark.parametrize("worse", [
    {"in_flight": 3}, {"window": 4.0, "in_flight": 0}, {"wait_s": 30.0, "wait_at": NOW},
    {"health": Health.PROBING}, {"windows": {(MAIN_FAMILY, 300): gauge(0.9)}},
])  # fmt: skip
def test_what_makes_an_account_dear(worse):
    """Calls in flight, a small window, slowness or failures, a rest just over, a tight quota."""
    assert cost(state(**worse), MAIN_FAMILY, now=NOW) > cost(state(), MAIN_FAMILY, now=NOW)


def test_a_tight_window_makes_an_account_dear_before_it_is_empty():
    """The more the less is left; credits or not, the cost stays finite."""
    known = [cost(used(share), MAIN_FAMILY, now=NOW) for share in (0.0, 0.75, 0.8, 0.9, 0.99, 1.0)]
    assert known[0] == pytest.approx(known[1])
    assert known[1:5] == sorted(set(known[1:5]))
    assert known[-1] == pytest.approx(known[0] * TIGHT / LEFT_MIN)


@given(
    first=st.tuples(st.floats(0.0, 1.0), st.integers(0, 9)),
    second=st.tuples(st.floats(0.0, 1.0), st.integers(0, 9)),
    seed=st.integers(0, 99),
)
def test_of_two_the_lower_cost_wins(first, second, seed):
    """As a plain comparison of costs would have it; reading fewer windows changes nothing."""
    pair = [used(first[0], "a", in_flight=first[1]), used(second[0], "b", in_flight=second[1])]
    choose = chooser(Strategy.BALANCED, Random(seed))
    made = filled(choose, pair)
    chosen = {pick(choose, made) for _ in range(60)}
    costs = [cost(member, MAIN_FAMILY, now=NOW) for member in pair]
    # Both are looked at in half of the choices, and then the cheaper one wins.
    assert chosen == {"a", "b"}
    wins = Counter(pick(choose, made) for _ in range(200))
    if costs[0] != costs[1]:
        assert wins.most_common(1)[0][0] == ("a" if costs[0] < costs[1] else "b")


@pytest.mark.parametrize("waits", [{}, {"wait_s": 1.9, "wait_mean_s": 1.5, "wait_at": NOW}])
def test_short_waits_are_equal(waits):
    """Or who is not known to be quick would never be known."""
    assert wait_s(state(**waits), now=NOW) == wait_s(state(wait_s=0.1, wait_mean_s=0.1), now=NOW)
    slow = state(wait_s=4.0, wait_mean_s=4.0, wait_at=NOW)
    assert wait_s(slow, now=NOW) == pytest.approx(2 * wait_s(state(**waits), now=NOW))


def test_a_wait_grows_with_the_places_that_are_taken():
    """The call that is to come counts too."""
    assert wait_s(state(in_flight=3), now=NOW) == pytest.approx(4 * wait_s(state(), now=NOW))


def test_the_best_of_several_orders_is_chosen():
    """By rank, wherever it stands."""
    choose = chooser(Strategy.FILL_FIRST, Random(1))
    made = filled(choose, [state("a", ordinal=3)], [state("b", ordinal=1)], [])
    assert pick(choose, made) == "b"
    choose = chooser(Strategy.ROUND_ROBIN, Random(1))
    made = filled(choose, [state("a", turn=3)], [state("b", turn=1), state("c", turn=2)])
    assert pick(choose, made) == "b"


@pytest.mark.parametrize(("rank", "better", "worse"), [
    (idle_longest, state(turn=1), state(turn=2)),
    (idle_longest, state(ordinal=1), state(ordinal=2)),
    (fill_first, state(ordinal=1, in_flight=9), state(ordinal=2)),
    (least_used, state(tokens=5, in_flight=9), state(tokens=6)),
    (least_used, state(turn=9), state(in_flight=1)),
    (least_used, state(turn=1), state(turn=2)),
    (least_used, state(ordinal=1), state(ordinal=2)),
    (remaining_quota, used(0.50), used(0.52)),
    (remaining_quota, used(0.501, turn=1), used(0.499, turn=2)),
    (remaining_quota, used(0.50, in_flight=1), used(0.50, in_flight=2)),
    (remaining_quota, used(0.50, in_flight=1, turn=1), used(0.51, in_flight=0, turn=2)),
    (remaining_quota, state(), used(0.1)),
    (remaining_quota, state(ordinal=1), state(ordinal=2)),
])  # fmt: skip
def test_who_goes_first(rank, better, worse):
    """The first thing that tells two accounts apart decides."""
    assert rank(better, NOW) < rank(worse, NOW)


@pytest.mark.parametrize(("windows", "tokens"), [
    ({}, 77),
    ({("codex", 300): gauge(tokens=5), ("codex", 10_080): gauge(tokens=40)}, 40),
    ({("codex", 10_080): gauge(tokens=40), ("codex", 300): gauge(tokens=5)}, 40),
    ({("codex", 10_080): gauge(tokens=40), ("other", 10_080): gauge(tokens=2)}, 42),
    ({("codex", 10_080): gauge(tokens=40, reset_at=NOW - 5)}, 0),
    ({("codex", 10_080): gauge(tokens=40, reset_at=None)}, 40),
    ({("codex", 0): gauge(tokens=3)}, 3),
])  # fmt: skip
def test_tokens_count_in_the_longest_window(windows, tokens):
    """In all families that have one of that length; what was spent before its reset is over."""
    assert spent(state(windows=windows, tokens=77), now=NOW) == tokens


@pytest.mark.parametrize("strategy", [Strategy.LEAST_USED, Strategy.REMAINING_QUOTA])
def test_a_strategy_that_hangs_on_windows_wants_to_be_told_when_they_end(strategy):
    """The others do not care."""
    assert chooser(strategy, Random(1)).timed
    assert sum(chooser(each, Random(1)).timed for each in Strategy) == 2
