"""The orders of accounts: each account once, the right one first, and nothing grows."""

from random import Random
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.pool import orders
from app.pool.orders import Lot, Order, Ranking
from app.pool.state import AccountState
from tests.fakes.accounts import account

NOW = 0.0


def by_tokens(state: AccountState, _now: float) -> tuple[int, ...]:
    """Rank as a test can change it."""
    return (state.tokens,)


MAKERS = {
    "lot": lambda: Lot(Random(1)),
    "ranking": lambda: Ranking(by_tokens),
}


def states(count: int) -> list[AccountState]:
    """Return accounts whose rank is their number."""
    return [AccountState(account(f"a{number}"), tokens=number) for number in range(count)]


def filled(order: Order, members: list[AccountState]) -> Order:
    """Return the order with these accounts."""
    for state in members:
        order.add(state, NOW)
    return order


def named(found: AccountState | None) -> str | None:
    """Return the name of an account."""
    return found and found.account.id


@pytest.mark.parametrize("name", MAKERS)
@given(steps=st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["flip", "move"]))))
def test_an_order_has_whoever_joined_and_did_not_leave(name, steps):
    """And proposes only them, as long as it is not empty."""
    order, members = MAKERS[name](), states(10)
    inside: set[int] = set()
    for number, what in steps:
        state = members[number]
        if number not in inside:
            order.add(state, NOW)
            inside.add(number)
        elif what == "flip":
            order.discard(state)
            inside.remove(number)
        else:
            state.tokens -= 1
            order.moved(state, NOW)
        assert len(order) == len(inside)
        assert sorted(map(named, order)) == sorted(f"a{n}" for n in inside)
        for place in range(len(order)):
            assert named(order.candidate(place, frozenset(), NOW)) in {f"a{n}" for n in inside}


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("open_ones", [{"a0"}, {"a7"}, {"a19"}, {"a3", "a4"}, set()])
def test_only_an_account_that_is_not_hidden_is_proposed(name, open_ones):
    """Wherever it is looked for, and none if all are hidden."""
    order = filled(MAKERS[name](), states(20))
    hidden = {f"a{n}" for n in range(20)} - open_ones
    for place in range(20):
        found = named(order.candidate(place, hidden, NOW))
        assert found in open_ones if open_ones else found is None
    assert len(order) == 20


def test_a_lot_proposes_who_is_at_the_place():
    """Who leaves gives its place to the last one."""
    members = states(4)
    order = filled(Lot(Random(1)), members)
    assert named(order.candidate(1, frozenset(), NOW)) == "a1"
    order.discard(members[1])
    assert named(order.candidate(1, frozenset(), NOW)) == "a3"
    order.discard(members[2])
    assert list(map(named, order)) == ["a0", "a3"]


def test_a_lot_draws_a_few_times_before_it_looks_at_all():
    """Whom it draws instead of a hidden account is left to chance."""
    asked = []

    class Hidden:
        def __contains__(self, name):
            asked.append(name)
            return True

    order = filled(Lot(Random(1)), states(5))
    assert order.candidate(0, Hidden(), NOW) is None
    assert len(asked) == 1 + 8 + 5
    drawn = {named(order.candidate(0, {"a0"}, NOW)) for _ in range(50)}
    assert drawn == {"a1", "a2", "a3", "a4"}


def test_a_ranking_proposes_the_lowest_rank():
    """One that has grown is noticed, one that has fallen is told."""
    members = states(3)
    order = filled(Ranking(by_tokens), members)
    members[0].tokens = 5
    assert named(order.candidate(0, frozenset(), NOW)) == "a1"
    members[1].tokens = 7
    members[2].tokens = 6
    assert named(order.candidate(0, frozenset(), NOW)) == "a0"
    members[1].tokens = 1
    order.moved(members[1], NOW)
    assert named(order.candidate(0, frozenset(), NOW)) == "a1"
    assert named(order.candidate(0, {"a1", "a0"}, NOW)) == "a2"
    assert named(order.candidate(0, frozenset(), NOW)) == "a1"


def test_equal_ranks_take_turns():
    """Who has been there longest is first, and who comes down to a rank stands behind it."""
    members = states(3)
    for state in members:
        state.tokens = 1
    order = filled(Ranking(by_tokens), members)
    order.moved(members[0], NOW)
    assert named(order.candidate(0, frozenset(), NOW)) == "a0"
    members[0].tokens = 2
    assert named(order.candidate(0, frozenset(), NOW)) == "a1"
    members[0].tokens = 1
    order.moved(members[0], NOW)
    assert named(order.candidate(0, {"a1"}, NOW)) == "a2"
    assert named(order.candidate(0, {"a1", "a2"}, NOW)) == "a0"


def test_entries_left_behind_are_swept_out_at_once_and_rarely():
    """Only when they outnumber the accounts by more than the slack; the best one stays first."""
    high, low = members = states(2)
    high.tokens = low.tokens = 1000
    order = filled(Ranking(by_tokens), members)
    for _ in range(2 * 2 + 64 - 2):
        low.tokens -= 1
        order.moved(low, NOW)
    assert len(order._heap) == 2 * 2 + 64
    low.tokens -= 1
    order.moved(low, NOW)
    assert len(order._heap) == 2
    assert order.candidate(0, frozenset(), NOW) is low
    assert order.candidate(0, {"a1"}, NOW) is high


def test_accounts_that_leave_are_swept_out():
    """Even if nobody ever asks for a candidate or joins again."""
    members = states(200)
    order = filled(Ranking(by_tokens), members)
    for state in members:
        order.discard(state)
    assert len(order._heap) <= 64


@patch.object(orders, "SLACK", 2)
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 7), st.integers(0, 9), st.frozensets(st.integers(0, 7)))
    )
)
def test_a_ranking_is_as_good_as_a_walk(steps):
    """Whatever ranks rise, fall, join and leave, and its heap stays small."""
    members = states(8)
    order = filled(Ranking(by_tokens), members)
    inside = set(range(8))
    for number, tokens, hidden in steps:
        state = members[number]
        if number in inside and tokens == 9:
            order.discard(state)
            inside.remove(number)
            continue
        state.tokens = tokens
        if number in inside:
            order.moved(state, NOW)
        else:
            order.add(state, NOW)
            inside.add(number)
        for _ in range(30 * (tokens == 0)):
            state.tokens -= 1
            order.moved(state, NOW)
        found = order.candidate(0, {f"a{n}" for n in hidden}, NOW)
        seen = [members[n].tokens for n in inside - hidden]
        assert (found and found.tokens) == min(seen, default=None)
        assert len(order._heap) <= 2 * len(order) + orders.SLACK + 1
