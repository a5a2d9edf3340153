"""How full each account's quota is and how long it lasts, read from the pool at a scrape.

Accounts past the first 200 are `other` together: the mean of their used shares, the first of their
resets. Forecasts cost more than anything else in a scrape, so only a few accounts are forecast anew
each time, and the others show what was forecast before, less the time since.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from msgspec import Struct, field
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from app.domain.account import AccountId
from app.domain.quota import MAIN_FAMILY
from app.pool import quota
from app.pool.meters import window_name
from app.pool.policy import Policy
from app.pool.runway import Runway, Runways
from app.pool.state import AccountState
from app.telemetry.account_counts import AccountCounts
from app.telemetry.labels import OTHER, Words

WINDOWS_MAX: Final = 32
"""Labels of windows: upstreams name the families of their limits as they like."""
FORECASTS_MAX: Final = 20
"""Accounts that are forecast anew at one scrape."""


class _Window(Struct):
    """The same window of all accounts that are not told apart."""

    used_ratio: float = 0.0
    accounts: int = 0
    reset_s: list[float] = field(default_factory=list)


class AccountGauges:
    """The state of the accounts as gauges."""

    def __init__(
        self,
        *,
        states: Callable[[], Iterable[AccountState]],
        policy: Callable[[], Policy],
        runways: Runways,
        counts: AccountCounts,
        now: Callable[[], float],
    ) -> None:
        self._states = states
        self._policy = policy
        self._runways = runways
        self._counts = counts
        self._now = now
        self._windows = Words(WINDOWS_MAX)
        self._forecasts: dict[AccountId, tuple[float, Runway | None]] = {}
        """When each account was forecast, the longest ago first."""

    def families(self) -> Iterator[Metric]:
        """Yield the gauges of now."""
        now = self._now()
        states = list(self._states())
        self._counts.keep([state.account.id for state in states])
        shown: list[AccountState] = []
        others: list[AccountState] = []
        for state in states:
            told_apart = self._counts.label(state.account.id) != OTHER
            (shown if told_apart else others).append(state)
        yield from self._quota(shown, others, now)
        yield from self._lasting(states, shown, now)

    def _quota(
        self, shown: list[AccountState], others: list[AccountState], now: float
    ) -> Iterator[Metric]:
        used = GaugeMetricFamily(
            "codex2api_account_used_ratio",
            "Used share of a quota window, 1 is full.",
            labels=("account", "window"),
        )
        reset = GaugeMetricFamily(
            "codex2api_account_reset_seconds",
            "Seconds until a quota window is reset.",
            labels=("account", "window"),
        )
        for state in shown:
            for label, used_ratio, reset_s in self._windows_of(state, now):
                used.add_metric((state.account.id, label), used_ratio)
                if reset_s is not None:
                    reset.add_metric((state.account.id, label), reset_s)
        together: defaultdict[str, _Window] = defaultdict(_Window)
        for state in others:
            for label, used_ratio, reset_s in self._windows_of(state, now):
                window = together[label]
                window.used_ratio += used_ratio
                window.accounts += 1
                if reset_s is not None:
                    window.reset_s.append(reset_s)
        for label, window in together.items():
            used.add_metric((OTHER, label), window.used_ratio / window.accounts)
            if window.reset_s:
                reset.add_metric((OTHER, label), min(window.reset_s))
        yield from (used, reset)

    def _windows_of(
        self, state: AccountState, now: float
    ) -> Iterator[tuple[str, float, float | None]]:
        """Yield label, used share and seconds until the reset; a window that is over is empty."""
        for (family, minutes), gauge in state.windows.items():
            name = window_name(minutes)
            label = self._windows.label(name if family == MAIN_FAMILY else f"{family} {name}")
            if quota.ends_at(gauge) <= now:
                yield label, 0.0, None
            elif gauge.reset_at is None:
                yield label, gauge.used_ratio, None
            else:
                yield label, gauge.used_ratio, max(0.0, gauge.reset_at - now)

    def _lasting(
        self, states: list[AccountState], shown: list[AccountState], now: float
    ) -> Iterator[Metric]:
        policy = self._policy()
        pool = GaugeMetricFamily(
            "codex2api_pool_runway_seconds",
            "Forecast of when no account is left: three quantiles.",
            labels=("quantile",),
        )
        runway = self._runways.pool(states, policy, now=now)
        for quantile, seconds in _quantiles(runway, 0.0):
            pool.add_metric((quantile,), seconds)
        yield pool
        single = GaugeMetricFamily(
            "codex2api_account_runway_seconds",
            "Forecast of when the account is used up: three quantiles.",
            labels=("account", "quantile"),
        )
        self._renew(shown, policy, now)
        for account_id, (at, forecast) in self._forecasts.items():
            for quantile, seconds in _quantiles(forecast, now - at):
                single.add_metric((account_id, quantile), seconds)
        yield single

    def _renew(self, shown: list[AccountState], policy: Policy, now: float) -> None:
        """Forecast the accounts anew that were forecast longest ago, or never."""
        known = self._forecasts
        by_id = {state.account.id: state for state in shown}
        for gone in known.keys() - by_id.keys():
            del known[gone]
        never = (account_id for account_id in by_id if account_id not in known)
        due = [*never, *known][:FORECASTS_MAX]
        for account_id in due:
            state = by_id[account_id]
            known.pop(account_id, None)
            pause_at = policy.pauses_at(state.account)
            known[account_id] = (now, self._runways.account(state, pause_at=pause_at, now=now))


def _quantiles(runway: Runway | None, age_s: float) -> list[tuple[str, float]]:
    """Return the quantiles of a forecast that was made `age_s` ago."""
    if runway is None:
        return []
    values = (("0.1", runway.low_s), ("0.5", runway.mid_s), ("0.9", runway.high_s))
    return [(quantile, max(0.0, seconds - age_s)) for quantile, seconds in values]
