"""Every account is either a candidate or excluded for the first reason that holds."""

import pytest

from app.domain.account import AccountId, AccountKind
from app.domain.needs import Need
from app.domain.runtime import Strategy
from app.pool.policy import Policy
from app.pool.state import AccountState, Gauge, Health
from app.pool.survey import (
    CANDIDATES_MAX,
    EXCLUSIONS_MAX,
    Exclusion,
    Survey,
    Why,
    asked,
    survey,
)
from tests.fakes.accounts import account, call

NOW = 1_000.0
EVERYTHING = call(
    model="m1", groups=("g1", "g2"), tags=("t1", "t2"), needs=frozenset({Need.SEARCH})
)


class Pool:
    """What of a pool is looked at."""

    def __init__(self, *states: AccountState, families=None, **policy) -> None:
        self.states = states
        self.policy = Policy(**policy)
        self.families = families or {}


def state(name: str = "a", *, configured=None, **changes) -> AccountState:
    """Return the state of an account that takes any call."""
    fields = {"groups": ("g1",), "tags": ("t1", "t2")} | (configured or {})
    return AccountState(account(name, **fields), **changes)


def look(pool: Pool, sought=EVERYTHING, *, excluding=(), only=None, leased=None) -> Survey:
    """Return what a walk for the call finds."""
    wanted = asked(sought, excluding=frozenset(map(AccountId, excluding)), only=only)
    return survey(pool, wanted, now=NOW, leased=leased)


def test_an_account_that_fits_is_a_candidate():
    """With its cost, what is left of its quota, and how busy it is."""
    gauge = Gauge(used_ratio=0.25, reset_at=NOW + 60, seen_at=NOW, began_at=0.0)
    found = look(Pool(state(in_flight=2, windows={("codex", 300): gauge})))
    (candidate,) = found.candidates
    assert (candidate.account_id, candidate.headroom) == ("a", 0.75)
    assert (candidate.in_flight, candidate.cap) == (2, 32)
    assert candidate.cost > 0
    assert (found.candidates_count, found.looked_at) == (1, 1)
    assert (found.counts, found.exclusions) == ({}, ())


@pytest.mark.parametrize(
    ("why", "until", "shown"),
    [
        (Why.BANNED, None, state(health=Health.BANNED, ready_at=NOW + 5)),
        (Why.EXPIRED, None, state(health=Health.EXPIRED, ready_at=NOW + 5)),
        (
            Why.KIND,
            None,
            state(configured={"kind": AccountKind.COMPATIBLE, "models": ("m2",)}),
        ),
        (Why.MODEL, None, state(configured={"models": ("m2",)}, ready_at=NOW + 5)),
        (Why.PLAN, None, state(configured={"plan": "free"}, ready_at=NOW + 5)),
        (Why.GROUP, None, state(configured={"groups": ("g3",)}, ready_at=NOW + 5)),
        (Why.TAG, None, state(configured={"tags": ("t1",)}, ready_at=NOW + 5)),
        (Why.RESTING, NOW + 5, state(ready_at=NOW + 5, paused_until=NOW + 5)),
        (Why.PAUSED, NOW + 6, state(ready_at=NOW + 5, paused_until=NOW + 6)),
        (Why.MODEL_RESTS, NOW + 7, state(model_ready_at={"m1": NOW + 7}, in_flight=32)),
        (Why.FULL, None, state(in_flight=32)),
        (Why.FULL, None, state(health=Health.PROBING, in_flight=1)),
    ],
)
def test_an_account_that_does_not_fit_is_excluded_for_the_first_reason(why, until, shown):
    """What the operator decided comes before what the moment brought."""
    found = look(Pool(shown, plans={"m1": frozenset({"pro"})}))
    assert found.exclusions == (Exclusion(AccountId("a"), why, until),)
    assert found.counts == {why: 1}
    assert found.candidates == ()


@pytest.mark.parametrize(
    "shown",
    [
        state(ready_at=NOW, paused_until=NOW),
        state(health=Health.COOLING, ready_at=NOW),
        state(health=Health.PROBING),
        state(model_ready_at={"m1": NOW, "m2": NOW + 9}),
        state(in_flight=31),
        state(configured={"plan": "pro", "groups": ("g2", "g3")}),
    ],
)
def test_a_reason_that_is_over_or_of_another_model_excludes_nobody(shown):
    """A rest ends at its moment; one of the key's groups is enough."""
    assert look(Pool(shown, plans={"m1": frozenset({"pro"})})).candidates_count == 1


def test_a_call_that_asks_for_nothing_takes_any_account():
    """No groups and no tags: all accounts."""
    found = look(Pool(state(configured={"groups": (), "tags": ()})), call())
    assert found.candidates_count == 1


def test_a_call_excludes_where_it_has_been_and_what_cannot_read_it():
    """What the call itself brings along comes first of all."""
    pool = Pool(state("a", health=Health.BANNED), state("b"), state("c"))
    found = look(pool, excluding="a", only=AccountId("b"))
    assert [candidate.account_id for candidate in found.candidates] == ["b"]
    assert {e.account_id: e.why for e in found.exclusions} == {"a": Why.TRIED, "c": Why.ELSEWHERE}


def test_a_lower_priority_is_excluded_only_by_a_higher_one_that_can():
    """An account that rests keeps no place for its priority."""
    above = state("above", configured={"priority": 2})
    below = state("below", configured={"priority": 1})
    found = look(Pool(below, above))
    assert [candidate.account_id for candidate in found.candidates] == ["above"]
    assert found.exclusions == (Exclusion(AccountId("below"), Why.PRIORITY),)
    above.ready_at = NOW + 1
    found = look(Pool(below, above))
    assert [candidate.account_id for candidate in found.candidates] == ["below"]


@pytest.mark.parametrize(
    ("strategy", "cheap", "dear"),
    [
        (Strategy.BALANCED, {"in_flight": 1}, {"in_flight": 2}),
        (Strategy.BALANCED, {"wait_s": 1.0, "wait_at": NOW}, {"wait_s": 9.0, "wait_at": NOW}),
        (Strategy.ROUND_ROBIN, {"turn": 1}, {"turn": 2}),
        (Strategy.LEAST_USED, {"tokens": 1}, {"tokens": 2}),
        (
            Strategy.BALANCED,
            {"in_flight": 1, "windows": {("codex", 300): Gauge(0.5, None, NOW, 0.0)}},
            {"windows": {("special", 300): Gauge(0.97, None, NOW, 0.0)}},
        ),
        (Strategy.REMAINING_QUOTA, {}, {"windows": {("codex", 300): Gauge(0.5, None, NOW, 0.0)}}),
        (Strategy.FILL_FIRST, {"ordinal": 0}, {"ordinal": 1}),
    ],
)
def test_the_cheapest_by_the_strategy_comes_first(strategy, cheap, dear):
    """A window counts for the models that are metered under it."""
    pool = Pool(
        state("dear", **dear), state("cheap", **cheap),
        strategy=strategy, families={"m1": "special"},
    )  # fmt: skip
    found = look(pool)
    assert [candidate.account_id for candidate in found.candidates] == ["cheap", "dear"]
    assert found.candidates[0].cost < found.candidates[1].cost


def test_the_lease_that_is_explained_is_not_counted_yet():
    """Its account had one place more, and looked cheaper."""
    pool = Pool(state("a", in_flight=32), state("b", in_flight=32))
    found = look(pool, leased=AccountId("a"))
    assert [(c.account_id, c.in_flight) for c in found.candidates] == [("a", 31)]
    assert found.exclusions == (Exclusion(AccountId("b"), Why.FULL),)
    assert pool.states[0].in_flight == 32


def test_the_lists_are_bounded_and_the_counts_are_not():
    """Fifty candidates and two hundred exclusions are shown, all are counted."""
    ready = [state(f"r{n}", in_flight=n % 20) for n in range(CANDIDATES_MAX + 7)]
    full = [state(f"f{n}", in_flight=32) for n in range(EXCLUSIONS_MAX + 9)]
    banned = [state(f"b{n}", health=Health.BANNED) for n in range(3)]
    found = look(Pool(*banned, *ready, *full))
    assert len(found.candidates) == CANDIDATES_MAX
    costs = [candidate.cost for candidate in found.candidates]
    assert costs == sorted(costs)
    assert found.candidates_count == CANDIDATES_MAX + 7
    assert len(found.exclusions) == EXCLUSIONS_MAX
    assert list(found.counts.items()) == [(Why.FULL, EXCLUSIONS_MAX + 9), (Why.BANNED, 3)]
    assert found.looked_at == len(ready) + len(full) + len(banned)


def test_a_pool_without_accounts_has_nothing_to_tell():
    """No candidate and no exclusion."""
    assert look(Pool()) == Survey()
