"""Draining by events gives what draining second by second gives."""

from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.pool import tanks
from app.pool.tanks import Dry, Level, Tank, drain


def level(left: float, *, size: float = 100.0, reset_s: float = inf, name: str = "5h") -> Level:
    """Return a window that is reset every hundred seconds."""
    return Level(name, left, size, reset_s, 100.0)


def lasts(*pool: Tank, load: float = 1.0, horizon_s: float = 10_000.0) -> Dry:
    """Return when the tanks are dry."""
    return drain(pool, load, horizon_s=horizon_s)


def test_a_tank_lasts_as_long_as_the_load_takes():
    """And the window that ended it is named."""
    assert lasts(Tank((level(50.0),)), load=2.0) == Dry(25.0, "5h")


def test_the_first_of_its_windows_ends_it():
    """Whatever is left of the others."""
    assert lasts(Tank((level(50.0), level(20.0, name="7d")))) == Dry(20.0, "7d")


def test_a_reset_fills_a_window_however_much_was_left():
    """What was not used is lost: ten were left, and ninety-nine last 99 s."""
    assert lasts(Tank((level(50.0, size=99.0, reset_s=40.0),))) == Dry(139.0, "5h")


def test_a_window_that_is_reset_in_time_limits_nobody():
    """Ninety of a hundred are spent between two resets."""
    assert lasts(Tank((level(10.0, reset_s=11.0),)), load=0.9) == Dry(inf)


def test_a_load_moves_to_the_accounts_that_are_left():
    """Both spend ten; then one bears it all."""
    assert lasts(Tank((level(10.0),)), Tank((level(30.0, name="7d"),))) == Dry(40.0, "7d")


def test_an_account_that_is_reset_takes_part_again():
    """It is empty at 20 s and full at 25 s, five seconds before the other one is empty."""
    pool = (Tank((level(10.0, size=20.0, reset_s=25.0),)), Tank((level(20.0, name="7d"),)))
    assert lasts(*pool) == Dry(50.0, "5h")


def test_an_account_is_closed_until_none_of_its_windows_is_empty():
    """A reset of the one does not help while the other is empty."""
    both = Tank((level(0.0, reset_s=10.0), level(0.0, reset_s=30.0, name="7d", size=20.0)))
    other = Tank((level(40.0),))
    assert lasts(both, other) == Dry(60.0, "7d")


def test_a_window_that_is_reset_while_the_account_is_closed_is_full_when_it_opens():
    """It had five left when the other one closed the account."""
    pair = Tank((level(5.0, size=30.0, reset_s=10.0), level(0.0, size=300.0, reset_s=20.0)))
    assert lasts(pair, Tank((level(25.0),))) == Dry(55.0, "5h")


def test_an_account_that_rests_comes_when_its_rest_is_over():
    """Until then the other one bears the load alone."""
    assert lasts(Tank((level(50.0),), opens_s=20.0), Tank((level(30.0),))) == Dry(80.0, "5h")
    assert lasts(Tank((level(0.0),), opens_s=20.0), Tank((level(30.0),))) == Dry(30.0, "5h")


@pytest.mark.parametrize(
    ("pool", "limited_by"),
    [((), ""), ((Tank((level(0.0),)),), "5h"), ((Tank((level(9.0),), opens_s=5.0),), "")],
)
def test_a_pool_with_nobody_open_is_dry_now(pool, limited_by):
    """Even if somebody comes back soon: a call now finds nobody."""
    assert lasts(*pool) == Dry(0.0, limited_by)


def test_an_account_without_windows_lasts_for_ever():
    """Nothing closes it."""
    assert lasts(Tank(()), Tank((level(1.0),))) == Dry(inf)


def test_what_lies_behind_the_horizon_is_not_looked_at():
    """The moment itself still is."""
    assert lasts(Tank((level(50.0),)), horizon_s=49.0) == Dry(inf)
    assert lasts(Tank((level(50.0),)), horizon_s=50.0) == Dry(50.0, "5h")


def test_the_work_is_bounded(monkeypatch):
    """A horizon full of resets ends after so many of them."""
    monkeypatch.setattr(tanks, "EVENTS_MAX", 10)
    pool = Tank((level(10.0, reset_s=1.0), Level("30d", 5_000.0, 1.0, inf, inf)))
    assert lasts(pool, load=0.5, horizon_s=1e9) == Dry(inf)


def step_by_step(pool: list[Tank], load: float, horizon_s: int) -> float:
    """Return when the pool is dry, found the plain way: a hundredth of a second at a time."""
    part = 100
    left = [[each.left for each in tank.levels] for tank in pool]
    for tick in range(horizon_s * part):
        for number, tank in enumerate(pool):
            for index, each in enumerate(tank.levels):
                since = tick - round(each.reset_s * part)
                if since >= 0 and since % round(each.period_s * part) == 0:
                    left[number][index] = each.size
        usable = [
            number
            for number, tank in enumerate(pool)
            if tick >= tank.opens_s * part and all(rest > 1e-9 for rest in left[number])
        ]
        if not usable:
            return tick / part
        for number in usable:
            left[number] = [rest - load / len(usable) / part for rest in left[number]]
    return inf


whole = st.integers(1, 12).map(float)
levels = st.builds(
    Level, st.just("w"), st.integers(0, 12).map(float), whole, st.integers(1, 9).map(float), whole
)
pools = st.lists(
    st.builds(
        Tank, st.lists(levels, min_size=1, max_size=2).map(tuple), st.sampled_from([0.0, 0.0, 4.0])
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=150, deadline=None)
@given(pools, st.sampled_from([0.7, 1.3, 2.9]))
def test_events_tell_what_small_steps_tell(pool, load):
    """The plain way is exact to a few of its steps, but for a close race with a reset."""
    found, plain = drain(pool, load, horizon_s=30).at_s, step_by_step(pool, load, 30)
    shifted = {drain(pool, load * factor, horizon_s=30).at_s for factor in (0.98, 1.02)}
    low, high = min(found, *shifted), max(found, *shifted)
    assert low - 0.2 <= plain <= high + 0.2
