"""What each account did, for Prometheus: counted on the path of a call, spelled out at a scrape.

The first 200 accounts that are seen are told apart by their ids, the rest are `other` together. A
count is a plain addition to an integer; what is a ratio or a day's sum becomes one when somebody
asks.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from app.domain.account import Account
from app.domain.outcome import Abandoned, Outcome, Refused, Succeeded
from app.domain.usage import Usage
from app.telemetry.labels import OTHER, Words

ACCOUNTS_MAX: Final = 200
DAY_S: Final = 86_400
ERRORS_S: Final = 300
"""The error ratio is that of the last five to ten minutes."""


class _Counts:
    """What one account did, or all those that are not told apart."""

    __slots__ = ("attempts", "before", "day", "errors", "judged", "period", "today", "tokens")

    def __init__(self) -> None:
        self.attempts: defaultdict[str, int] = defaultdict(int)
        self.tokens: defaultdict[str, int] = defaultdict(int)
        self.day = self.today = 0
        self.period = self.judged = self.errors = 0
        self.before = (0, 0)
        """Attempts that tell good from bad, and the bad ones, of the period before this one."""

    def spend(self, usage: Usage, day: int) -> None:
        """Count tokens as the upstream counted them."""
        tokens = self.tokens
        tokens["input"] += usage.input
        tokens["cached"] += usage.cached
        tokens["cache_write"] += usage.cache_write
        tokens["output"] += usage.output
        tokens["reasoning"] += usage.reasoning
        if day != self.day:
            self.day, self.today = day, 0
        self.today += usage.total

    def judge(self, period: int, *, error: bool) -> None:
        """Count an attempt that went well or did not."""
        self.turn(period)
        self.judged += 1
        self.errors += error

    def turn(self, period: int) -> None:
        """Begin a new period if it is time; one that is long ago is not the one before."""
        if period != self.period:
            following = period == self.period + 1
            self.before = (self.judged, self.errors) if following else (0, 0)
            self.period, self.judged, self.errors = period, 0, 0


class AccountCounts:
    """Counts attempts by account; `now` returns epoch seconds."""

    def __init__(self, *, now: Callable[[], float]) -> None:
        self._now = now
        self._labels = Words(ACCOUNTS_MAX)
        self._counts: dict[str, _Counts] = {}
        self._known: Collection[str] = ()

    def attempt(self, account: Account, outcome: Outcome) -> None:
        """An attempt on the account is over."""
        label = self._labels.label(account.id)
        counts = self._counts.get(label)
        if counts is None:
            counts = self._counts[label] = _Counts()
        counts.attempts[type(outcome).__name__.lower()] += 1
        now = int(self._now())
        if isinstance(outcome, Succeeded):
            counts.judge(now // ERRORS_S, error=False)
            if outcome.usage is not None:
                counts.spend(outcome.usage, now // DAY_S)
        elif not isinstance(outcome, Abandoned | Refused):
            counts.judge(now // ERRORS_S, error=True)

    def label(self, account_id: str) -> str:
        """Return how the account is called in metrics: by its id, or `other`."""
        return self._labels.label(account_id)

    def keep(self, account_ids: Iterable[str]) -> None:
        """Give the places of all other accounts to new ones, and forget what those did.

        The first in order get them: workers that are told of the same accounts in the same order
        tell the same ones apart.
        """
        known = dict.fromkeys(account_ids)
        self._known = known.keys()
        self._labels.keep(set(known))
        for account_id in known:
            if self._labels.label(account_id) == OTHER:
                break
        for gone in self._counts.keys() - known.keys() - {OTHER}:
            del self._counts[gone]

    def place(self, account_id: str) -> str | None:
        """Return how an account is called in metrics, or None if there is no such account."""
        if account_id in self._labels:
            return account_id
        return OTHER if account_id in self._known else None

    def families(self) -> Iterator[Metric]:
        """Yield everything as Prometheus metric families."""
        attempts = CounterMetricFamily(
            "codex2api_account_requests",
            "Attempts by account and outcome.",
            labels=("account", "outcome"),
        )
        tokens = CounterMetricFamily(
            "codex2api_account_tokens",
            "Tokens by account, as the upstream counted them.",
            labels=("account", "kind"),
        )
        today = GaugeMetricFamily(
            "codex2api_account_tokens_today",
            "Tokens that went in and out since midnight UTC.",
            labels=("account",),
        )
        errors = GaugeMetricFamily(
            "codex2api_account_error_ratio",
            "Share of failed attempts in the last five to ten minutes.",
            labels=("account",),
        )
        now = int(self._now())
        for label, counts in self._counts.items():
            for outcome, count in counts.attempts.items():
                attempts.add_metric((label, outcome), count)
            for kind, count in counts.tokens.items():
                tokens.add_metric((label, kind), count)
            today.add_metric((label,), counts.today if counts.day == now // DAY_S else 0)
            counts.turn(now // ERRORS_S)
            judged = counts.judged + counts.before[0]
            if judged:
                errors.add_metric((label,), (counts.errors + counts.before[1]) / judged)
        yield from (attempts, tokens, today, errors)
