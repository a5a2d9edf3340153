"""Calls arrive as often as the plan says, at the hours that it says."""

from collections import Counter
from itertools import takewhile
from random import Random

import pytest

from app.simulation.load import DAY_S, HOUR_S, Arrivals
from app.simulation.plan import Burst, Curve, Key, Load, Model


def drawn(load, *, seed=1, until_s=DAY_S):
    """Return the calls that arrive by then."""
    arrivals = Arrivals(load, rng=Random(seed))
    return list(takewhile(lambda wish: wish.at < until_s, iter(arrivals.draw, None)))


def test_the_same_seed_draws_the_same_calls():
    """Every strategy is measured with them; another seed draws others."""
    load = Load(calls_per_minute=1)
    assert drawn(load) == drawn(load) != drawn(load, seed=2)


@pytest.mark.parametrize("curve", list(Curve))
def test_as_many_calls_arrive_as_the_plan_says(curve):
    """A curve moves calls within the day and adds none."""
    calls = drawn(Load(calls_per_minute=10, curve=curve))
    assert len(calls) == pytest.approx(14_400, rel=0.04)
    assert [wish.at for wish in calls] == sorted(wish.at for wish in calls)


def test_a_business_day_has_its_load_by_day():
    """Ten o'clock is ten times as busy as three at night, on the second day too."""
    calls = drawn(Load(calls_per_minute=10, curve=Curve.BUSINESS_DAY), until_s=2 * DAY_S)
    hours = Counter(int(wish.at // HOUR_S) for wish in calls)
    assert hours[10] > 7 * hours[3]
    assert hours[34] > 7 * hours[27]


def test_a_burst_multiplies_the_load_while_it_lasts():
    """It begins and ends where the plan says, within an hour or beyond it."""
    calls = drawn(
        Load(calls_per_minute=10, bursts=(Burst(at_hour=9.5, minutes=45, factor=8),)),
        until_s=12 * HOUR_S,
    )
    inside = sum(9.5 * HOUR_S <= wish.at < 10.25 * HOUR_S for wish in calls)
    after = sum(10.25 * HOUR_S <= wish.at < 11 * HOUR_S for wish in calls)
    assert inside == pytest.approx(3_600, rel=0.08)
    assert after == pytest.approx(450, rel=0.2)


def test_a_burst_ends_with_the_day():
    """Nothing is asked for twice at midnight."""
    load = Load(calls_per_minute=10, bursts=(Burst(at_hour=23.5, minutes=90, factor=8),))
    early = [wish for wish in drawn(load, until_s=DAY_S + HOUR_S) if wish.at >= DAY_S]
    assert len(early) == pytest.approx(600, rel=0.2)


def test_keys_and_models_are_drawn_by_their_weights():
    """A key's calls carry its groups and tags."""
    load = Load(
        calls_per_minute=10,
        keys=(Key(name="a", weight=3, groups=("g",)), Key(name="b", tags=("t",))),
        models=(Model(name="m1"), Model(name="m2", weight=9)),
    )
    calls = [wish.call for wish in drawn(load)]
    keys = Counter((call.caller_id, call.groups, call.tags) for call in calls)
    assert keys.keys() == {("a", ("g",), ()), ("b", (), ("t",))}
    assert keys["a", ("g",), ()] / len(calls) == pytest.approx(0.75, abs=0.02)
    assert sum(call.model == "m2" for call in calls) / len(calls) == pytest.approx(0.9, abs=0.02)


def test_sessions_belong_to_a_key_and_only_they_are_bound():
    """A call outside of a session has no owner that it could be bound to."""
    calls = drawn(
        Load(calls_per_minute=10, session_share=0.5, sessions_per_key=4, bound_share=0.5),
        until_s=2 * HOUR_S,
    )
    sessions = [wish.call.session_key for wish in calls]
    assert set(sessions) == {None, *(f"key:{n}" for n in range(4))}
    assert sessions.count(None) / len(calls) == pytest.approx(0.5, abs=0.06)
    assert not any(wish.bound and wish.call.session_key is None for wish in calls)
    assert sum(wish.bound for wish in calls) / len(calls) == pytest.approx(0.25, abs=0.05)


def test_without_a_spread_all_calls_are_alike():
    """The median is what they take."""
    calls = drawn(
        Load(
            tokens_median=100,
            tokens_sigma=0,
            stream_s_median=9,
            stream_s_sigma=0,
            first_event_s_median=2,
            first_event_s_sigma=0,
        ),
        until_s=HOUR_S,
    )
    assert {(wish.tokens, wish.stream_s, wish.first_event_s) for wish in calls} == {(101, 9.0, 2.0)}
