"""Gauges of accounts are those of the moment, for at most so many accounts and windows."""

from math import inf

import pytest

from app.domain.account import AccountId
from app.pool.policy import Policy
from app.pool.runway import Runway, Runways
from app.pool.state import WINDOWS_MAX as GAUGES_MAX
from app.pool.state import AccountState, Gauge
from app.telemetry.account_counts import ACCOUNTS_MAX, AccountCounts
from app.telemetry.account_gauges import FORECASTS_MAX, WINDOWS_MAX, AccountGauges
from tests.fakes.accounts import account

NOW = 1_800_000_000.0


class Oracle(Runways):
    """Forecasts what it is told to, and counts how often it is asked."""

    def __init__(self, runway: Runway | None = None) -> None:
        super().__init__()
        self.runway = runway
        self.asked: list[str] = []
        self.pause_at: list[float] = []

    def account(self, state, *, pause_at, now):
        """Return the runway of any account."""
        del now
        self.asked.append(state.account.id)
        self.pause_at.append(pause_at)
        return self.runway

    def pool(self, states, policy, *, now):
        """Return the runway of the pool."""
        del states, policy, now
        return self.runway


class Scene:
    """Gauges over accounts that a test changes."""

    def __init__(self, *states: AccountState, runway: Runway | None = None) -> None:
        self.states = list(states)
        self.oracle = Oracle(runway)
        self.now = NOW
        self.counts = AccountCounts(now=lambda: self.now)
        self.gauges = AccountGauges(
            states=lambda: self.states,
            policy=lambda: Policy(pause_at=0.9),
            runways=self.oracle,
            counts=self.counts,
            now=lambda: self.now,
        )

    def shown(self) -> dict[tuple[str, ...], float]:
        """Return the samples of a scrape as (name, label values) to value."""
        return {
            (sample.name.removeprefix("codex2api_"), *sample.labels.values()): sample.value
            for family in self.gauges.families()
            for sample in family.samples
        }


def gauge(used_ratio: float, reset_at: float | None = NOW + 60, seen_at: float = NOW) -> Gauge:
    """Return a quota window."""
    return Gauge(used_ratio, reset_at, seen_at, began_at=0.0)


def state(name: str = "a", **windows: Gauge) -> AccountState:
    """Return the state of an account with windows of the main family by their minutes."""
    found = {("codex", int(key.removeprefix("m"))): each for key, each in windows.items()}
    return AccountState(account(name), windows=found)


def test_a_window_is_named_by_its_length():
    """With its family, if that is not the main one."""
    a = state("a", m300=gauge(0.25), m10080=gauge(0.5, NOW + 7.0), m0=gauge(0.1))
    a.windows["spark", 300] = gauge(0.75)
    seen = Scene(a).shown()
    assert seen["account_used_ratio", "a", "5h"] == 0.25
    assert seen["account_used_ratio", "a", "7d"] == 0.5
    assert seen["account_used_ratio", "a", "unknown"] == 0.1
    assert seen["account_used_ratio", "a", "spark 5h"] == 0.75
    assert seen["account_reset_seconds", "a", "7d"] == 7.0


@pytest.mark.parametrize(
    ("window", "used_ratio", "reset_s"),
    [
        (gauge(0.5, NOW - 5), 0.0, None),
        (gauge(0.5, NOW - 0.5), 0.5, 0.0),
        (gauge(0.5, None), 0.5, None),
        (gauge(0.5, None, NOW - 9_999), 0.0, None),
    ],
)
def test_a_window_that_is_over_is_empty(window, used_ratio, reset_s):
    """And a reset that nobody named is not shown."""
    seen = Scene(state("a", m300=window)).shown()
    assert seen["account_used_ratio", "a", "5h"] == used_ratio
    assert seen.get(("account_reset_seconds", "a", "5h")) == reset_s


def test_accounts_past_the_bound_are_shown_together():
    """The mean of what they used, the first of their resets."""
    states = [state(f"a{n}", m300=gauge(0.1)) for n in range(ACCOUNTS_MAX)]
    states += [state("x", m300=gauge(0.2, NOW + 30)), state("y", m300=gauge(0.6, NOW + 20))]
    states += [state("z", m300=gauge(0.4, None), m10080=gauge(0.3, None))]
    seen = Scene(*states).shown()
    assert seen["account_used_ratio", "other", "5h"] == pytest.approx(0.4)
    assert seen["account_reset_seconds", "other", "5h"] == 20
    assert seen["account_used_ratio", "other", "7d"] == 0.3
    assert ("account_reset_seconds", "other", "7d") not in seen
    assert len([key for key in seen if key[0] == "account_used_ratio"]) == ACCOUNTS_MAX + 2


def test_an_account_that_is_gone_gives_its_place_to_another():
    """In the counts as in the gauges."""
    scene = Scene(*(state(f"a{n}", m300=gauge(0.1)) for n in range(ACCOUNTS_MAX + 1)))
    assert ("account_used_ratio", "other", "5h") in scene.shown()
    scene.states.pop(0)
    seen = scene.shown()
    assert ("account_used_ratio", "other", "5h") not in seen
    assert ("account_used_ratio", "a0", "5h") not in seen


def test_windows_have_a_bound_too():
    """An upstream that invents families fills one more label."""
    states = []
    for number in range(4):
        each = state(f"a{number}")
        for window in range(GAUGES_MAX):
            each.windows[f"f{number}-{window}", 300] = gauge(0.5)
        states.append(each)
    labels = {key[2] for key in Scene(*states).shown() if key[0] == "account_used_ratio"}
    assert len(labels) == WINDOWS_MAX + 1
    assert "other" in labels


def test_a_forecast_is_shown_as_three_quantiles():
    """Of the pool and of each account; infinity is a value of the format."""
    scene = Scene(state("a"), runway=Runway(10.0, 20.0, inf, "5h"))
    seen = scene.shown()
    for name in (("pool_runway_seconds",), ("account_runway_seconds", "a")):
        assert [seen[*name, quantile] for quantile in ("0.1", "0.5", "0.9")] == [10, 20, inf]
    assert scene.oracle.pause_at == [0.9]


def test_what_cannot_be_forecast_is_not_shown():
    """No sample, rather than a number that means nothing."""
    names = {key[0] for key in Scene(state("a")).shown()}
    assert not names & {"pool_runway_seconds", "account_runway_seconds"}


def test_a_scrape_forecasts_few_accounts_and_ages_the_others():
    """Those that were forecast longest ago come next."""
    scene = Scene(
        *(state(f"a{n}") for n in range(FORECASTS_MAX + 2)), runway=Runway(5, 100, inf, "")
    )
    scene.shown()
    assert scene.oracle.asked == [f"a{n}" for n in range(FORECASTS_MAX)]
    scene.now += 10
    scene.oracle.asked.clear()
    seen = scene.shown()
    asked = [FORECASTS_MAX, FORECASTS_MAX + 1, *range(FORECASTS_MAX - 2)]
    assert scene.oracle.asked == [f"a{n}" for n in asked]
    assert seen["account_runway_seconds", f"a{FORECASTS_MAX}", "0.5"] == 100
    old = f"a{FORECASTS_MAX - 1}"
    quantiles = [
        seen["account_runway_seconds", old, quantile] for quantile in ("0.1", "0.5", "0.9")
    ]
    assert quantiles == [0, 90, inf]


def test_the_forecast_of_an_account_that_is_gone_is_shown_no_more():
    """It would count down to nothing."""
    scene = Scene(state("a"), state("b"), runway=Runway(1.0, 2.0, 3.0, ""))
    scene.shown()
    scene.states.pop(0)
    accounts = {key[1] for key in scene.shown() if key[0] == "account_runway_seconds"}
    assert accounts == {AccountId("b")}
