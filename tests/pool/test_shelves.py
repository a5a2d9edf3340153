"""All accounts by class: who may have a call, whose rest is over, whom it is worth to wait for."""

from random import Random
from unittest.mock import patch

import pytest

from app.domain.account import AccountId, AccountKind
from app.domain.needs import Need
from app.domain.quota import MAIN_FAMILY, RESET_SLACK_S
from app.domain.runtime import Strategy
from app.pool import shelves as shelves_module
from app.pool.policy import Policy
from app.pool.shelf import CARVE_FROM, Place, Shelf, Stance
from app.pool.shelves import Demand, Shelves, Wanted
from app.pool.state import AccountState, Gauge, Health
from tests.fakes.accounts import account

NOW = 1_000.0
RESET = 2_000.0
NOBODY: frozenset[AccountId] = frozenset()
FIRST = Policy(strategy=Strategy.FILL_FIRST)


def shelves(*places: Place, policy: Policy = FIRST) -> Shelves:
    """Return these accounts on their shelves."""
    made = Shelves(policy, Random(1))
    for ordinal, place in enumerate(places):
        place.state.ordinal = ordinal
        made.put(place, now=NOW)
    return made


def place(name: str = "a", **changes) -> Place:
    """Return the place of an account; `state` has what its state is to be."""
    return Place(AccountState(account(name, **changes)))


def demand(found: Shelves, model="m1", groups=(), tags=()) -> Demand:
    """Ask for something."""
    return found.demand(Wanted(model, groups, tags), now=NOW)


def chosen(found: Shelves, model="m1", groups=(), tags=(), excluding=NOBODY, now=NOW):
    """Return the name of the account that is chosen."""
    wanted = demand(found, model, groups, tags)
    state = found.choose(wanted, excluding=excluding, family=MAIN_FAMILY, now=now)
    return state and state.account.id


def rest(found: Shelves, one: Place, until: float, model: str | None = None) -> None:
    """Let an account rest, or a model on it."""
    if model is None:
        one.state.health, one.state.ready_at = Health.COOLING, until
    else:
        one.state.model_ready_at[model] = until
    found.file(one, now=NOW)


def fill(found: Shelves, one: Place) -> None:
    """Give an account all the calls that it may have."""
    one.state.in_flight = 32
    found.taken(one, now=NOW)


@pytest.mark.parametrize(("changes", "together"), [
    ({"email": "x@example.com", "tags": ("unasked",), "groups": ()}, True),
    ({"concurrency_max": 3}, True),
    ({"priority": 1}, False),
    ({"kind": AccountKind.OPENAI}, False),
    ({"plan": "plus"}, False),
    ({"models": ("m1",)}, False),
    ({"groups": ("g1",)}, False),
    ({"tags": ("t1",)}, False),
])  # fmt: skip
def test_accounts_of_one_class_share_a_shelf(changes, together):
    """What no call can ask for keeps no accounts apart."""
    one, two = place("one"), place("two", **changes)
    shelves(one, two, policy=Policy(tags=frozenset({"t1"})))
    assert (one.shelf is two.shelf) is together


def test_the_order_of_words_makes_no_class():
    """Groups, tags and models are sets."""
    words = {"groups": ("a", "b"), "tags": ("c", "d"), "models": ("e", "f")}
    one, two = place("one", **words), place("two", **{k: v[::-1] for k, v in words.items()})
    shelves(one, two, policy=Policy(tags=frozenset({"c", "d"})))
    assert one.shelf is two.shelf


def test_a_higher_priority_goes_first_while_it_can():
    """Whatever the strategy thinks of it; equal priorities are one tier."""
    low, high, other = place("low"), place("high", priority=2), place("other", priority=2, plan="p")
    found = shelves(low, other, high)
    assert [len(tier.shelves) for tier in demand(found).tiers] == [2, 1]
    assert chosen(found) == "other"
    fill(found, other)
    assert chosen(found) == "high"
    assert chosen(found, excluding=frozenset({AccountId("high")})) == "low"
    rest(found, high, RESET)
    assert chosen(found) == "low"
    fill(found, low)
    assert chosen(found) is None


def test_a_call_is_given_only_what_it_may_have():
    """By group, tag, model and plan."""
    free = place("free", plan="free", groups=("g1",))
    tagged = place("tagged", tags=("t1",), groups=("g2",))
    policy = Policy(tags=frozenset({"t1"}), plans={"m2": frozenset({"plus"})})
    found = shelves(free, tagged, place("mine", models=("m9",)), policy=policy)
    assert chosen(found, groups=("g1",)) == "free"
    assert chosen(found, tags=("t1",)) == "tagged"
    assert chosen(found, "m2") == "tagged"
    assert chosen(found, "m9", excluding=frozenset(map(AccountId, ["free", "tagged"]))) == "mine"
    assert chosen(found, groups=("g3",)) is None
    assert demand(found, groups=("g3",)).tiers == []


def test_a_tag_that_nobody_was_known_to_ask_for_is_told_apart_from_then_on():
    """The policy names those that keys ask for, but a call may come before it."""
    one, two = place("one"), place("two", tags=("t1", "t2"))
    found = shelves(one, two)
    assert one.shelf is two.shelf
    assert chosen(found, tags=("t1",)) == "two"
    assert one.shelf is not two.shelf
    assert chosen(found, tags=("t2", "t1")) == "two"
    assert chosen(found, tags=("t3",)) is None
    found.rebuild(FIRST, now=NOW)
    assert one.shelf is two.shelf


def test_a_demand_is_held_against_the_shelves_once():
    """Until shelves come or go; what is kept is bounded."""
    one = place("one")
    found = shelves(one)
    first = demand(found)
    assert demand(found) is first
    found.put(place("two"), now=NOW)
    assert demand(found) is first
    found.put(place("three", priority=1), now=NOW)
    second = demand(found)
    assert second is not first
    found.remove(AccountId("three"), now=NOW)
    assert demand(found) is not second
    with patch.object(shelves_module, "DEMANDS_MAX", 3):
        for number in range(20):
            demand(found, f"m{number}")
            assert len(found._demands) <= 3


def test_an_account_of_another_class_moves_to_another_shelf():
    """With all its rests; the shelf that is left empty goes."""
    one, two = place("one"), place("two", plan="plus")
    found = shelves(one, two)
    before = one.shelf
    rest(found, one, RESET)
    rest(found, one, RESET + 5, "m1")
    one.state.account = account("one", plan="plus")
    found.put(one, now=NOW)
    assert one.shelf is two.shelf is not before
    assert list(found._shelves.values()) == [two.shelf]
    assert found.prospect(demand(found), excluding=frozenset({AccountId("two")})) == (
        RESET + 5,
        False,
    )
    assert found.wake(now=RESET + 5) == 2
    assert chosen(found, excluding=frozenset({AccountId("two")})) == "one"


def test_an_account_that_is_as_before_stays_where_it_is():
    """Also its shelf."""
    places = [place(name) for name in "ab"]
    found = shelves(*places)
    places[0].state.account = account("a", email="new@example.com")
    with patch.object(Shelf, "_move") as moved:
        found.put(places[0], now=NOW)
    assert not moved.called
    assert places[0].shelf.count == 2


def test_an_account_that_is_removed_is_nowhere():
    """Its rests are over unseen, and it can be filed as often as one likes."""
    one = place("one")
    found = shelves(one, place("two"))
    rest(found, one, RESET)
    rest(found, one, RESET, "m1")
    assert found.remove(AccountId("one"), now=NOW) is one
    assert found.remove(AccountId("one"), now=NOW) is None
    assert one.shelf is None
    found.file(one, now=NOW)
    found.taken(one, now=NOW)
    assert one.stance is Stance.OUT
    assert found.next_wake_at is None
    assert found.wake(now=RESET) == 0
    found.remove(AccountId("two"), now=NOW)
    assert found._shelves == {}
    assert not found.has_room


def test_rests_end_when_they_are_over():
    """Of accounts and of models, each once, and no earlier."""
    one, two = place("one"), place("two")
    found = shelves(one, two)
    rest(found, one, RESET)
    rest(found, two, RESET + 1, "m1")
    assert found.next_wake_at == RESET
    assert found.wake(now=RESET - 0.1) == 0
    assert chosen(found) is None
    assert found.wake(now=RESET) == 1
    assert one.state.health is Health.PROBING
    assert (chosen(found), found.next_wake_at) == ("one", RESET + 1)
    assert found.wake(now=RESET + 9) == 1
    assert two.state.model_ready_at == {}
    assert found.next_wake_at is None


def test_every_model_has_a_rest_of_its_own():
    """One that changes leaves the others as they are."""
    one = place("one")
    found = shelves(one)
    rest(found, one, RESET, "m1")
    rest(found, one, RESET + 1, "m2")
    rest(found, one, RESET + 2, "m1")
    assert found.wake(now=RESET + 1) == 1
    assert (chosen(found, "m1"), chosen(found, "m2")) == (None, "one")
    assert found.next_wake_at == RESET + 2


def test_a_rest_that_was_taken_back_ends_at_once():
    """A model's rest too."""
    one = place("one")
    found = shelves(one)
    rest(found, one, RESET, "m1")
    one.state.model_ready_at.clear()
    found.file(one, now=NOW)
    assert (chosen(found), found.next_wake_at) == ("one", None)
    rest(found, one, RESET)
    one.state.health, one.state.ready_at = Health.READY, 0.0
    found.file(one, now=NOW)
    assert (chosen(found), found.next_wake_at) == ("one", None)


@pytest.mark.parametrize("resting", [1, CARVE_FROM, CARVE_FROM + 1, 2 * CARVE_FROM])
def test_a_model_rests_where_it_rests_and_nowhere_else(resting):
    """Whether it has an order of its own or those who rest are passed over."""
    places = [place(f"a{number:02}") for number in range(2 * CARVE_FROM + 1)]
    other = place("other", plan="plus")
    found = shelves(*places, other)
    for one in places[:resting]:
        rest(found, one, RESET, "m1")
    assert chosen(found) == f"a{resting:02}"
    assert chosen(found, "m2") == "a00"
    for one in places[resting:]:
        rest(found, one, RESET, "m1")
    assert chosen(found) == "other"
    assert found.can_take(demand(found))
    rest(found, other, RESET, "m1")
    assert chosen(found) is None
    assert not found.can_take(demand(found))
    assert found.can_take(demand(found, "m2"))


@pytest.mark.parametrize("strategy", [Strategy.LEAST_USED, Strategy.REMAINING_QUOTA])
def test_when_a_window_ends_the_account_is_ranked_anew(strategy):
    """It is the best one now, though nobody has spoken of it since."""
    used, fresh = place("used"), place("fresh")
    for one, share in ((used, 0.9), (fresh, 0.2)):
        reset_at = RESET if one is used else RESET + 5_000
        gauge = Gauge(share, reset_at, NOW, 0.0, tokens=round(share * 100))
        one.state.windows[MAIN_FAMILY, 300] = gauge
    found = shelves(used, fresh, policy=Policy(strategy=strategy))
    assert chosen(found) == "fresh"
    ends_at = RESET + RESET_SLACK_S
    assert found.soonest == ends_at
    assert found.next_wake_at is None
    assert found.wake(now=ends_at) == 0
    assert chosen(found, now=ends_at) == "used"
    assert found.soonest == RESET + 5_000 + RESET_SLACK_S


def test_the_earliest_end_of_a_window_is_watched():
    """Also if it is heard of after the others; one that is later need not be told."""
    one = place("one")
    found = shelves(one, policy=Policy(strategy=Strategy.LEAST_USED))
    for minutes, reset_at in ((300, 5_000.0), (10_080, 9_000.0), (60, 3_000.0), (0, 500.0)):
        one.state.windows[MAIN_FAMILY, minutes] = Gauge(0.1, reset_at, NOW, 0.0)
        found.watch(one, now=NOW)
    assert found.soonest == 3_000.0 + RESET_SLACK_S
    found.remove(AccountId("one"), now=NOW)
    assert len(found._window_ends) == 0


def test_what_one_can_wait_for():
    """The earliest end of a rest, and whether somebody is just busy."""
    full, one, two = place("full", plan="plus"), place("one"), place("two")
    out = place("out")
    found = shelves(full, one, two, out)
    out.state.health = Health.EXPIRED
    found.file(out, now=NOW)
    fill(found, full)
    rest(found, one, RESET)
    rest(found, two, RESET + 5)
    wanted = demand(found)
    assert found.prospect(wanted, excluding=NOBODY) == (RESET, True)
    assert found.prospect(wanted, excluding=frozenset({AccountId("one")})) == (RESET + 5, True)
    busy_out = frozenset(map(AccountId, ["full", "one", "two"]))
    assert found.prospect(wanted, excluding=busy_out) == (None, False)
    assert found.prospect(demand(found, groups=("g",)), excluding=NOBODY) == (None, False)


def test_a_storm_of_calls_that_find_nobody_asks_the_shelves_once():
    """Until something changes; different questions are bounded."""
    one, two = place("one"), place("two")
    found = shelves(one, two)
    rest(found, one, RESET)
    fill(found, two)
    wanted = demand(found)
    with patch.object(Shelf, "ready_at", return_value=1.0) as asked:
        for _ in range(50):
            found.prospect(wanted, excluding=NOBODY)
        assert asked.call_count == 1
        changes = [
            lambda: rest(found, one, RESET + 1),
            lambda: rest(found, one, RESET, "m1"),
            lambda: found.wake(now=RESET + 1),
            lambda: found.remove(AccountId("one"), now=NOW),
            lambda: found.put(place("three"), now=NOW),
            lambda: setattr(two.state, "in_flight", 0) or found.file(two, now=NOW),
            lambda: fill(found, two),
        ]
        for number, change in enumerate(changes):
            change()
            found.prospect(wanted, excluding=NOBODY)
            found.prospect(wanted, excluding=NOBODY)
            assert asked.call_count == number + 2
    with patch.object(shelves_module, "PROSPECTS_MAX", 3):
        for number in range(20):
            found.prospect(wanted, excluding=frozenset({AccountId(f"x{number}")}))
            assert len(found._prospects) <= 3


def test_another_policy_sorts_everything_anew():
    """By its own ranks, with all rests and all that is watched."""
    places = [place(name) for name in "abc"]
    found = shelves(*places, policy=Policy(strategy=Strategy.BALANCED))
    for one, turn in zip(places, (3, 1, 2), strict=True):
        one.state.turn = turn
    rest(found, places[1], RESET)
    rest(found, places[2], RESET, "m2")
    places[0].state.windows[MAIN_FAMILY, 300] = Gauge(0.1, 5_000.0, NOW, 0.0)
    found.rebuild(Policy(strategy=Strategy.ROUND_ROBIN), now=NOW)
    assert (chosen(found), chosen(found, "m2")) == ("c", "a")
    assert found.next_wake_at == RESET
    assert found.soonest == RESET
    assert found.wake(now=RESET) == 2
    found.rebuild(Policy(strategy=Strategy.LEAST_USED), now=RESET)
    assert found.soonest == 5_000.0 + RESET_SLACK_S


def test_a_call_is_held_against_the_kinds_that_can_do_what_it_needs():
    """A higher priority does not help who can't."""
    codex, server = place("a", priority=9), place("b", kind=AccountKind.COMPATIBLE, models=("m1",))
    found = shelves(codex, server)
    sought = Wanted("m1", needs=frozenset({Need.EMBEDDINGS}))
    state = found.choose(
        found.demand(sought, now=NOW), excluding=NOBODY, family=MAIN_FAMILY, now=NOW
    )
    assert state is server.state
    assert chosen(found) == "a"


def test_what_no_kind_can_do_is_known_and_nobody_is_not_to_blame():
    """An empty pool is told as such, not as one of the wrong kind."""
    need = frozenset({Need.EMBEDDINGS})
    found = shelves(place("a"))
    assert not found.able(need)
    found.put(place("b", kind=AccountKind.OPENAI), now=NOW)
    assert found.able(need)
    assert shelves().able(need)
