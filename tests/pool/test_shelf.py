"""One class of accounts: who stands, who is full, who rests, and what rests on whom."""

from unittest.mock import patch

import pytest

from app.domain.account import AccountId
from app.pool import shelf as shelf_module
from app.pool.orders import Ranking
from app.pool.policy import Policy
from app.pool.selection import fill_first
from app.pool.shelf import CARVE_FROM, CARVED_MAX, Place, Shelf, Stance
from app.pool.state import AccountState, Health
from tests.fakes.accounts import account

NOW = 1_000.0
NOBODY: frozenset[AccountId] = frozenset()


def make() -> Ranking:
    """Return an order."""
    return Ranking(fill_first)


def shelf(*places: Place, **changes) -> Shelf:
    """Return a shelf of accounts with these accounts filed."""
    made = Shelf(account(**changes), frozenset(changes.get("tags", ())), make)
    for place in places:
        made.file(place, NOW)
    return made


def place(name: str = "a", **changes) -> Place:
    """Return an account that is filed nowhere."""
    return Place(AccountState(account(name), **changes))


def crowd(count: int = CARVE_FROM + 3) -> list[Place]:
    """Return accounts that are ready."""
    return [place(f"a{number:02}") for number in range(count)]


def standing(found: Shelf, model: str | None = None) -> list[str]:
    """Return who stands in the order, or in that of a model, by name."""
    order = found.order if model is None else found.carved[model]
    return sorted(state.account.id for state in order)


def test_what_is_new_is_empty():
    """A place is on no shelf and a shelf has nobody; it has the priority of its accounts."""
    one = place()
    assert (one.shelf, one.stance, one.rests, one.pauses) == (None, Stance.OUT, {}, {})
    assert one.pause_at == 1.0
    found = shelf(priority=7)
    assert (found.priority, found.count, len(found.order)) == (7, 0, 0)


@pytest.mark.parametrize(("changes", "stance"), [
    ({}, Stance.STANDING),
    ({"health": Health.PROBING}, Stance.STANDING),
    ({"in_flight": 32}, Stance.FULL),
    ({"in_flight": 1, "health": Health.PROBING}, Stance.FULL),
    ({"health": Health.COOLING, "ready_at": 2_000.0}, Stance.COOLING),
    ({"health": Health.EXPIRED}, Stance.OUT),
    ({"health": Health.EXPIRED, "renewing": True}, Stance.FULL),
    ({"health": Health.BANNED, "ready_at": 2_000.0}, Stance.OUT),
])  # fmt: skip
def test_where_an_account_is_filed(changes, stance):
    """Its health decides first, then its load."""
    one = place(**changes)
    found = shelf(one)
    assert one.stance is stance
    assert standing(found) == (["a"] if stance is Stance.STANDING else [])
    assert found.busy("m1", NOBODY) is (stance in (Stance.STANDING, Stance.FULL))
    assert found.ready_at("m1", NOBODY) == (2_000.0 if stance is Stance.COOLING else None)
    assert found.can_take("m1") is one.takes("m1") is (stance is Stance.STANDING)
    assert one.busy("m1") is (stance in (Stance.STANDING, Stance.FULL))
    found.rest("m1", one, 3_000.0, NOW)
    assert not one.takes("m1")
    assert not one.busy("m1")
    assert one.busy("m2") is (stance in (Stance.STANDING, Stance.FULL))


@pytest.mark.parametrize("before", [{}, {"in_flight": 32}, {"health": Health.COOLING}, {
    "health": Health.BANNED}])  # fmt: skip
@pytest.mark.parametrize("after", [{}, {"in_flight": 32}, {"health": Health.COOLING}, {
    "health": Health.BANNED}])  # fmt: skip
def test_an_account_is_filed_anew_from_anywhere_to_anywhere(before, after):
    """It is told whether anything has changed."""
    one = place(**before)
    found = shelf(one)
    plain = place()
    for name in ("health", "in_flight"):
        setattr(one.state, name, after.get(name, getattr(plain.state, name)))
    assert found.file(one, NOW) is (before != after)
    fresh = place(**after)
    shelf(fresh)
    assert one.stance is fresh.stance
    found.clear(one, NOW)
    assert standing(found) == []
    assert not found.busy("m1", NOBODY)
    assert found.ready_at("m1", NOBODY) is None


def test_a_rest_that_ends_at_another_time_is_a_change():
    """The same end is none."""
    one = place(health=Health.COOLING, ready_at=2_000.0)
    found = shelf(one)
    assert not found.file(one, NOW)
    one.state.ready_at = 3_000.0
    assert found.file(one, NOW)
    assert found.ready_at("m1", NOBODY) == 3_000.0


def test_an_account_that_is_taken_stands_until_it_is_full():
    """Then it stands no more."""
    one, two = place("one"), place("two")
    found = shelf(one, two)
    one.state.in_flight = 1
    assert not found.taken(one, NOW)
    assert standing(found) == ["one", "two"]
    one.state.in_flight = 32
    assert found.taken(one, NOW)
    assert standing(found) == ["two"]
    assert one.stance is Stance.FULL


@pytest.mark.parametrize(("model", "groups", "tags", "fits"), [
    ("m1", (), (), True),
    ("m1", ("g1",), (), True),
    ("m1", ("g9", "g2"), (), True),
    ("m1", ("g9",), (), False),
    ("m1", (), ("t1", "t2"), True),
    ("m1", (), ("t1", "t9"), False),
    ("m2", (), (), False),
    ("m3", (), (), True),
])  # fmt: skip
def test_whom_a_shelf_fits(model, groups, tags, fits):
    """Any of the groups, all of the tags, and a plan that has the model."""
    found = shelf(groups=("g1", "g2"), tags=("t1", "t2"), plan="free")
    policy = Policy(plans={"m2": frozenset({"plus"}), "m3": frozenset({"plus", "free"})})
    assert found.fits(policy, model, groups, tags) is fits


def test_a_model_rests_on_a_few_accounts_without_an_order_of_its_own():
    """They are few enough to be passed over."""
    places = crowd()
    found = shelf(*places)
    for one in places[:CARVE_FROM]:
        found.rest("m1", one, 2_000.0, NOW)
    assert found.carved == {}
    assert found.resting["m1"].keys() == {one.state.account.id for one in places[:CARVE_FROM]}
    assert found.can_take("m1")
    assert not places[0].takes("m1")
    assert places[0].takes("m2")


def carved() -> tuple[list[Place], Shelf]:
    """Return accounts on all but two of which a model rests."""
    places = crowd()
    found = shelf(*places)
    for one in places[:-2]:
        found.rest("m1", one, 2_000.0, NOW)
    return places, found


def test_an_account_that_is_filed_is_ranked_anew():
    """In every order in which it stands."""
    places, found = carved()
    for ordinal, one in enumerate(places):
        one.state.ordinal = ordinal
        found.file(one, NOW)
    first, last = places[-2:]
    orders = (found.order, found.carved["m1"])
    best = [order.candidate(0, NOBODY, NOW) for order in orders]
    assert best == [places[0].state, first.state]
    last.state.ordinal = -1
    assert not found.file(last, NOW)
    assert [order.candidate(0, NOBODY, NOW) for order in orders] == [last.state] * 2


def test_an_order_is_carved_when_a_model_rests_on_many():
    """It has who stands and can take a call for the model."""
    _, found = carved()
    assert standing(found, "m1") == ["a09", "a10"]
    assert len(found.order) == CARVE_FROM + 3


def test_a_carved_order_follows_the_big_one():
    """Whoever is taken, full, back or gone."""
    places, found = carved()
    resting, other = places[0], places[-2]
    for one in (resting, other):
        one.state.in_flight = 1
        found.taken(one, NOW)
        found.file(one, NOW)
    assert standing(found, "m1") == ["a09", "a10"]
    for load in (32, 0):
        for one in (resting, other):
            one.state.in_flight = load
            found.file(one, NOW)
        assert standing(found, "m1") == ["a09", "a10"][load == 32 :]
    found.clear(other, NOW)
    assert standing(found, "m1") == ["a10"]


def test_a_carved_order_follows_the_rests():
    """It goes with the last of them."""
    places, found = carved()
    found.rest("m1", places[-1], 2_000.0, NOW)
    assert standing(found, "m1") == ["a09"]
    assert found.can_take("m1") is True
    found.rest("m1", places[-1], 3_000.0, NOW)
    assert standing(found, "m1") == ["a09"]
    places[0].state.in_flight = 32
    found.file(places[0], NOW)
    places[1].state.in_flight = 32
    found.file(places[1], NOW)
    found.rest("m1", places[-2], 2_000.0, NOW)
    assert not found.can_take("m1")
    for one in (places[0], places[2]):
        found.end_rest("m1", one, NOW)
    assert standing(found, "m1") == ["a02"]
    found.rest("m1", places[0], 2_000.0, NOW)
    for one in places[:2] + places[3:]:
        found.end_rest("m1", one, NOW)
    found.rest("m1", places[2], 2_000.0, NOW)
    found.end_rest("m1", places[2], NOW)
    assert (found.carved, found.resting) == ({}, {})


def test_orders_are_carved_for_so_many_models_only():
    """For more of them, those who rest are passed over, however many."""
    places = crowd()
    found = shelf(*places)
    for number in range(CARVED_MAX + 3):
        for one in places[:-1]:
            found.rest(f"m{number}", one, 2_000.0, NOW)
    assert len(found.carved) == CARVED_MAX == 16
    assert found.can_take(f"m{CARVED_MAX + 1}")
    assert found.busy(f"m{CARVED_MAX + 1}", NOBODY)
    assert not found.busy(f"m{CARVED_MAX + 1}", frozenset({AccountId("a10")}))


def test_when_a_rest_ends_that_keeps_an_account_from_a_model():
    """The later of the account's own and the model's; who is out is not waited for."""
    ready, full = place("ready"), place("full", in_flight=32)
    cooling = place("cooling", health=Health.COOLING, ready_at=1_500.0)
    both = place("both", health=Health.COOLING, ready_at=1_200.0)
    out = place("out", health=Health.EXPIRED)
    found = shelf(ready, full, cooling, both, out)
    for one, until in ((ready, 2_000.0), (full, 1_900.0), (both, 1_400.0), (out, 1_100.0)):
        found.rest("m1", one, until, NOW)
    ends = []
    excluding = NOBODY
    for one in (both, cooling, full, ready):
        ends.append(found.ready_at("m1", excluding))
        excluding |= {one.state.account.id}
    assert ends == [1_400.0, 1_500.0, 1_900.0, 2_000.0]
    assert found.ready_at("m1", excluding) is None
    assert not found.busy("m1", NOBODY)
    assert found.ready_at("m2", NOBODY) == 1_200.0
    assert found.ready_at("m2", frozenset({AccountId("both")})) == 1_500.0


def test_a_search_for_the_end_of_rests_is_made_once():
    """Until a rest changes; who is full or not makes no difference to it."""
    places = crowd(3)
    found = shelf(*places)
    found.rest("m1", places[0], 2_000.0, NOW)
    with patch.object(found, "_search", wraps=found._search) as search:
        for _ in range(5):
            assert found.ready_at("m1", NOBODY) == 2_000.0
        places[1].state.in_flight = 32
        found.file(places[1], NOW)
        assert found.ready_at("m1", NOBODY) == 2_000.0
        assert search.call_count == 1
        for _ in range(5):
            assert found.ready_at("m1", NOBODY) == 2_000.0
            assert found.ready_at("m1", frozenset({AccountId("x")})) == 2_000.0
        assert search.call_count == 2
        found.rest("m1", places[0], 3_000.0, NOW)
        assert found.ready_at("m1", NOBODY) == 3_000.0
        places[1].state.health = Health.COOLING
        places[1].state.ready_at = 1_500.0
        found.file(places[1], NOW)
        assert found.ready_at("m1", NOBODY) == 1_500.0
        places[1].state.ready_at = 1_600.0
        found.file(places[1], NOW)
        assert found.ready_at("m1", NOBODY) == 1_600.0
        found.rest("m1", places[2], 1_400.0, NOW)
        assert found.ready_at("m1", NOBODY) == 1_400.0
        found.end_rest("m1", places[2], NOW)
        assert found.ready_at("m1", NOBODY) == 1_600.0


def test_the_kept_answers_are_bounded():
    """Calls exclude this and that."""
    one = place()
    found = shelf(one)
    found.rest("m1", one, 2_000.0, NOW)
    with patch.object(shelf_module, "KEPT_MAX", 3):
        for number in range(20):
            assert found.ready_at("m1", frozenset({AccountId(f"x{number}")})) == 2_000.0
            assert len(found._kept) <= 3


def test_a_place_that_is_forgotten_is_filed_as_nothing():
    """What it was is known by its state alone."""
    one = place()
    found = shelf(one)
    found.rest("m1", one, 2_000.0, NOW)
    one.shelf = found
    one.forget()
    assert (one.shelf, one.stance, one.rests) == (None, Stance.OUT, {})
    assert not one.busy("m1")
    assert one.ready_at("m1") is None
