"""A forecast is as sure as the past was steady, and its memory has a bound."""

from math import exp, log, pi, sin
from random import Random

import pytest

from app.pool.burn import (
    HORIZON_MIN_S,
    PAUSE_SPANS,
    POINTS_MAX,
    PRIOR_SIGMA,
    SPACING_S,
    STEP_BACK_S,
    Burn,
    Forecast,
)

HOUR_S = 3_600.0
Z = 1.2816


def burnt(rates, *, every_s: float = 60.0, points_max: int = POINTS_MAX) -> tuple[Burn, float]:
    """Return a memory of rates that each held for a while, and the moment after it."""
    burn = Burn(0.0, points_max=points_max)
    now = 0.0
    for rate in rates:
        now += every_s
        burn.add(rate * every_s, now=now)
    return burn, now


def test_a_steady_load_is_expected_to_go_on():
    """And the longer it has been steady, the surer."""
    young, now = burnt([2.0] * 10)
    first = young.forecast(300.0, now=now)
    old, now = burnt([2.0] * 600)
    second = old.forecast(300.0, now=now)
    assert first.rate() == pytest.approx(2.0)
    assert second.rate() == pytest.approx(2.0)
    assert second.sigma < PRIOR_SIGMA / 2 < first.sigma


def test_the_past_that_counts_is_as_long_as_the_time_to_come():
    """After an hour at three times the load, the next half hour has it, the next ten hours not."""
    burn, now = burnt([1.0] * 600 + [3.0] * 60)
    near = burn.forecast(HOUR_S / 2, now=now)
    far = burn.forecast(HOUR_S * 11, now=now)
    assert near.rate() == pytest.approx(3.0, rel=0.25)
    assert far.rate() == pytest.approx(13 / 11, rel=0.1)


def test_a_load_that_comes_and_goes_is_less_sure():
    """The width is measured on the past."""
    steady, now = burnt([1.0] * 400)
    bursts, _ = burnt(([2.0] * 10 + [0.0] * 10) * 20)
    calm, wild = (each.forecast(600.0, now=now).sigma for each in (steady, bursts))
    assert wild > 5 * calm


def test_what_is_unsteady_for_minutes_is_not_trusted_for_hours():
    """While the past is too short to test an hour, shorter spans say what may be."""
    rng = Random(3)
    rates = [exp(rng.gauss(0.0, 1.5)) for _ in range(12) for _ in range(5)]
    rough, now = burnt([rate for rate in rates[::5] for _ in range(5)])
    smooth, _ = burnt([1.0] * 60)
    assert rough.forecast(HOUR_S, now=now).sigma > 2 * smooth.forecast(HOUR_S, now=now).sigma


def test_a_rising_load_is_expected_to_rise_on():
    """Earlier moments expected too little, and so does this one."""
    rising, now = burnt([exp(step / 150) for step in range(600)])
    falling, _ = burnt([exp(-step / 150) for step in range(600)])
    last_hour = [exp(step / 150) for step in range(540, 600)]
    assert rising.forecast(HOUR_S, now=now).rate() > 1.15 * sum(last_hour) / 60
    assert falling.forecast(HOUR_S, now=now).rate() < sum(1 / rate for rate in last_hour) / 60


def test_a_forecast_is_nearly_normal_in_its_logarithm():
    """Shifted by a floor, so that a pause is a rate like any other; never quite 0."""
    forecast = Forecast(mid=1.0, floor=0.1, sigma=0.5)
    assert forecast.rate() == pytest.approx(1.0)
    assert forecast.rate(Z) == pytest.approx(1.1 * exp(Z * 0.5) - 0.1)
    assert forecast.rate(Z, doubt=0.75) == pytest.approx(1.1 * exp(Z) - 0.1)
    assert forecast.rate(-20.0) == pytest.approx(0.001)


def test_single_calls_are_not_taken_for_a_load():
    """However near the time to come, minutes are looked back on."""
    burn, now = burnt([1.0] * 30 + [10.0])
    assert burn.forecast(1.0, now=now) == burn.forecast(HORIZON_MIN_S, now=now)
    assert burn.forecast(1.0, now=now).rate() < 5.0


def test_a_pause_is_not_the_end_of_a_load():
    """A long one is: nothing is forecast any more."""
    pause = int(PAUSE_SPANS * HORIZON_MIN_S / 60)
    burn, now = burnt([1.0] * 60 + [0.0] * (pause - 5))
    paused = burn.forecast(HORIZON_MIN_S, now=now)
    assert paused.rate() < 0.01
    assert paused.rate(Z) > 0.03
    burn, now = burnt([1.0] * 60 + [0.0] * (pause + 5))
    assert burn.forecast(HORIZON_MIN_S, now=now) is None
    assert burn.forecast(HOUR_S, now=now) is not None


@pytest.mark.parametrize("rates", [[], [0.0] * 50])
def test_nothing_is_forecast_where_nothing_was_spent(rates):
    """Neither from no past at all, nor from an idle one."""
    burn, now = burnt(rates)
    assert burn.forecast(600.0, now=now) is None


def test_a_month_fits_in_a_few_points_and_keeps_its_shape():
    """Dense lately, sparse long ago; sums are exact at every point."""
    rates = [1 + sin(2 * pi * minute / 1_440) for minute in range(30 * 1_440)]
    burn, now = burnt(rates)
    assert POINTS_MAX * 3 / 4 <= len(burn) <= POINTS_MAX
    assert burn.spent == pytest.approx(60 * sum(rates))
    assert burn._spent_by(now - HOUR_S) == pytest.approx(60 * sum(rates[:-60]))
    gaps = [after - before for before, after in zip(burn._at, burn._at[1:], strict=False)]
    assert max(gaps[-5:]) <= 240.0
    assert gaps[0] > 10 * gaps[-1]
    assert burn.forecast(7 * 86_400.0, now=now).rate() == pytest.approx(1.0, rel=0.25)


def test_a_larger_memory_is_denser():
    """With as many points as were asked for."""
    small, _ = burnt([1.0] * 5_000)
    large, _ = burnt([1.0] * 5_000, points_max=256)
    assert len(small) <= POINTS_MAX < 192 <= len(large) <= 256


def test_what_comes_in_between_moves_the_last_point():
    """A thousand replies a second take no more place than one in half a minute."""
    burn = Burn(0.0)
    for step in range(1, 10_001):
        burn.add(1.0, now=step / 100)
    assert len(burn) <= 100 / SPACING_S + 2
    assert burn.spent == 10_000
    assert burn.forecast(60.0, now=100.0).rate() == pytest.approx(100.0, rel=0.05)


def test_a_clock_that_is_set_back_a_little_loses_nothing():
    """Time stands still until it has caught up."""
    burn, now = burnt([1.0] * 10)
    burn.add(5.0, now=now - 60)
    burn.add(5.0, now=now - 1)
    assert burn.spent == 610
    assert list(burn._at) == sorted(set(burn._at))
    fresh = Burn(100.0)
    fresh.add(3.0, now=90.0)
    assert (len(fresh), fresh.spent) == (1, 3.0)
    assert fresh.forecast(60.0, now=90.0) is None
    assert fresh._spent_by(90.0) == 0.0
    fresh.add(3.0, now=130.0)
    assert (len(fresh), fresh.spent) == (2, 6.0)


def test_a_clock_that_is_set_back_a_lot_begins_a_new_memory():
    """It would stand still for too long."""
    burn, now = burnt([1.0] * 600)
    burn.add(5.0, now=now - STEP_BACK_S - 1)
    assert (len(burn), burn.spent) == (1, 5.0)


def inside(shape: str, seed: int) -> bool:
    """Tell whether the mean rate of the hour after six hours is in the interval."""
    rng = Random(f"{shape}{seed}")
    level, phase = 0.0, rng.uniform(0.0, 2 * pi)
    rates = []
    for minute in range(420):
        level = 0.98 * level + rng.gauss(0.0, 0.15)
        wave = 1.0 + 0.8 * sin(2 * pi * minute / 240 + phase)
        rates.append(exp(level) if shape == "wandering" else wave * rng.gammavariate(4.0, 0.25))
    burn, now = burnt(rates[:360])
    forecast = burn.forecast(HOUR_S, now=now)
    return forecast.rate(-Z) <= sum(rates[360:]) / 60 <= forecast.rate(Z)


@pytest.mark.parametrize("shape", ["wandering", "waves"])
def test_most_truths_lie_within_the_interval(shape):
    """For the two hardest kinds of load, not much less often than four in five."""
    assert 0.65 <= sum(inside(shape, seed) for seed in range(200)) / 200 <= 0.95


def test_an_even_load_with_a_jump_has_errors_both_ways():
    """The error of each earlier moment is what came over what was expected, as a logarithm."""
    burn, now = burnt([1.0] * 60 + [4.0] * 60)
    errors = burn._errors(HOUR_S / 2, 0.0, now)
    assert errors[0] == pytest.approx(0.0, abs=0.05)
    assert max(errors) == pytest.approx(log(4.0), abs=0.1)
    assert len(errors) == 5
