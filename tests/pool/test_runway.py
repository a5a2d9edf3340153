"""A forecast counts resets, windows and the other accounts; where nothing is known it is none."""

from itertools import pairwise
from math import inf

import pytest

from app.domain.account import AccountId
from app.domain.quota import Credits
from app.pool.meters import HEARD_EVERY_S
from app.pool.policy import Policy
from app.pool.runway import SAMPLE_MAX, Runway, Runways
from app.pool.state import AccountState, Gauge, Health
from tests.fakes.accounts import account

MINUTE_S = 60.0
HOUR_S = 3_600.0
SIZE = 100_000.0
"""Tokens in a window of five hours; ten times as many are in one of a week."""


class Scene:
    """Accounts that spend so many tokens a minute each, and are heard of."""

    def __init__(self, *rates: float, minutes: tuple[int, ...] = (300,), plan="plus") -> None:
        self.now = 1_000_000.0
        self.runways = Runways()
        self.rates = list(rates)
        self.states = [
            AccountState(
                account(f"a{number}", plan=plan),
                windows={
                    ("codex", each): Gauge(0.0, self.now + 60.0 * each, self.now, self.now)
                    for each in minutes
                },
            )
            for number in range(len(rates))
        ]
        self.hear()

    def hear(self) -> None:
        """Let the upstream speak of every account."""
        for state in self.states:
            self.runways.heard(state, now=self.now)

    def go(self, minutes: int) -> "Scene":
        """Spend for so long."""
        for _ in range(minutes):
            self.now += MINUTE_S
            for state, rate in zip(self.states, self.rates, strict=True):
                state.tokens += round(rate)
                for (_, length), gauge in state.windows.items():
                    gauge.used_ratio += rate / (SIZE if length == 300 else 10 * SIZE)
                    gauge.seen_at = self.now
            self.hear()
        return self

    def account(self, number: int = 0, *, pause_at: float = 1.0) -> Runway | None:
        """Return the runway of one account."""
        return self.runways.account(self.states[number], pause_at=pause_at, now=self.now)

    def pool(self, **policy) -> Runway | None:
        """Return the runway of all accounts."""
        return self.runways.pool(self.states, Policy(**policy), now=self.now)


def test_what_is_left_lasts_as_long_as_the_load_takes():
    """After a tenth of the window, nine times as long as that took; the interval is around it."""
    scene = Scene(1_000.0).go(10)
    for runway in (scene.account(), scene.pool()):
        assert runway.mid_s == pytest.approx(90 * MINUTE_S, rel=0.02)
        assert runway.low_s < 0.9 * runway.mid_s < 1.1 * runway.mid_s < runway.high_s
        assert runway.limited_by == "5h"


def test_a_longer_steady_past_makes_the_interval_narrower():
    """The load has been seen not to vary."""
    short, long = (Scene(1_000.0, minutes=(10_080,)).go(minutes).account() for minutes in (30, 300))
    assert long.high_s / long.low_s < short.high_s / short.low_s


def test_a_window_that_is_reset_before_it_is_empty_is_no_end():
    """A quarter of it would be left; only a higher load would end it."""
    runway = Scene(250.0).go(60).account()
    assert HOUR_S < runway.low_s < 4 * HOUR_S
    assert (runway.mid_s, runway.high_s, runway.limited_by) == (inf, inf, "5h")


def test_the_long_window_ends_what_the_short_one_does_not():
    """Three quarters of each short window, a tenth of it every time in the long one."""
    scene = Scene(250.0, minutes=(300, 10_080)).go(240)
    runway = scene.account()
    assert runway.limited_by == "7d"
    left = 10 * SIZE - 240 * 250
    assert runway.mid_s == pytest.approx(left / 250 * MINUTE_S, rel=0.05)


def test_the_threshold_of_the_operator_is_the_end():
    """An account that is paused at half of its window lasts half as long."""
    scene = Scene(1_000.0).go(10)
    assert scene.account(pause_at=0.5).mid_s == pytest.approx(40 * MINUTE_S, rel=0.05)
    assert scene.pool(pause_at=0.5).mid_s == pytest.approx(40 * MINUTE_S, rel=0.05)


def test_the_load_moves_to_the_accounts_that_are_left():
    """The one account would last for ever; with the load of both it does not."""
    scene = Scene(1_000.0, 0.0).go(50)
    runway = scene.pool()
    assert scene.account(1) is None
    assert runway.mid_s == pytest.approx(150 * MINUTE_S, rel=0.05)


def test_accounts_that_open_nothing_are_left_out():
    """Only those that can be leased now or after a rest count."""
    scene = Scene(500.0, 500.0, 0.0).go(50)
    scene.states[1].health = Health.EXPIRED
    scene.states[2].health = Health.BANNED
    assert scene.pool().mid_s == pytest.approx(75 * MINUTE_S, rel=0.05)
    scene.states[0].health = Health.BANNED
    assert scene.pool() is None


def test_a_pool_in_which_all_rest_has_no_runway_left():
    """A call finds nobody now."""
    scene = Scene(1_000.0).go(10)
    scene.states[0].ready_at = scene.now + 60
    assert scene.pool() == Runway(0.0, 0.0, 0.0, "")


def test_credits_have_no_end():
    """Their balance is not told in anything that could be forecast."""
    scene = Scene(1_000.0, 1_000.0).go(10)
    scene.states[0].credits = Credits(available=True)
    for runway in (scene.account(), scene.pool()):
        assert runway == Runway(inf, inf, inf, "")


def test_an_account_that_was_never_heard_of_counts_for_the_middle_and_not_for_the_low_end():
    """It is taken to be full and like the others of its plan; the cautious forecast waits."""
    alone = Scene(1_000.0).go(30).pool()
    scene = Scene(1_000.0).go(30)
    scene.states.append(AccountState(account("new", plan="plus")))
    helped = scene.pool()
    assert helped.low_s == pytest.approx(alone.low_s, rel=0.01)
    assert helped.mid_s == pytest.approx(alone.mid_s + 100 * MINUTE_S, rel=0.05)


def test_a_pool_that_was_never_heard_of_is_not_forecast():
    """Nor one without accounts, or whose windows have no known size yet."""
    fresh = Runways()
    assert fresh.pool([], Policy(), now=0.0) is None
    assert fresh.pool([AccountState(account("a"))], Policy(), now=0.0) is None
    assert fresh.account(AccountState(account("a")), pause_at=1.0, now=0.0) is None
    scene = Scene(100.0).go(5)
    assert scene.account() is None
    assert scene.pool() is None


def test_an_unused_account_is_not_forecast():
    """Its window's size is known from its past, but nothing is being spent."""
    scene = Scene(1_000.0).go(20)
    scene.rates[0] = 0.0
    scene.go(60 * 24)
    assert scene.account() is None
    assert scene.pool() is None


def test_a_large_pool_is_forecast_by_a_sample():
    """What it lasts does not depend on how many of its accounts are looked at."""
    count = SAMPLE_MAX * 2 + 5
    small, large = Scene(1_000.0, 1_000.0).go(20), Scene(*[1_000.0] * count).go(20)
    assert large.pool().mid_s == pytest.approx(small.pool().mid_s, rel=0.05)


def test_the_three_are_in_order_whatever_happens():
    """At every minute until the end, and each is a little less than before in the long run."""
    scene = Scene(700.0, 300.0)
    found = []
    for _ in range(9):
        scene.go(10)
        found.append(scene.pool())
    assert all(0 <= each.low_s <= each.mid_s <= each.high_s for each in found if each)
    middle = [each.mid_s for each in found if each][2:]
    assert all(after < before for before, after in pairwise(middle))


def test_the_upstream_may_speak_as_often_as_it_likes():
    """All but the first word in half a minute cost nothing, and nothing is lost."""
    scene = Scene(0.0)
    meter = scene.runways._meters[AccountId("a0")]
    state = scene.states[0]
    state.tokens = 7
    scene.now += HEARD_EVERY_S - 1
    scene.hear()
    assert meter.burn.spent == 0
    scene.now += 1
    scene.hear()
    assert (meter.burn.spent, scene.runways._burn.spent) == (7, 7)


def test_a_clock_that_is_set_back_does_not_stop_the_listening():
    """A day back is no reason to wait for a day."""
    scene = Scene(0.0)
    scene.states[0].tokens = 7
    scene.now -= 86_400
    scene.hear()
    assert scene.runways._burn.spent == 7


def test_an_account_that_is_gone_is_forgotten():
    """Its part of the load is the others' now; a second time does no harm."""
    scene = Scene(1_000.0).go(20)
    for _ in range(2):
        scene.runways.forget(AccountId("a0"))
    assert scene.account() is None
    assert not scene.runways._meters
    assert scene.runways._burn.spent == 20_000
