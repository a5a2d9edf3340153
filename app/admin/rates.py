"""How many attempts each account has had of late, and how many of them failed. Pure.

A count is a few additions to integers on the path of a call; what is a rate becomes one when
somebody asks. A rate is that of a minute that slides; the share of errors is that of the last five
to ten minutes. What was not the account's doing (a caller that left, a request that was judged) is
an attempt, and no error.
"""

from typing import Final

from app.domain.account import AccountId
from app.domain.outcome import Abandoned, Outcome, Refused, Succeeded

MINUTE_S: Final = 60.0
ERRORS_S: Final = 300.0


class _Counts:
    """What one account did in this period and the one before."""

    __slots__ = ("attempts", "before", "errors", "judged", "judged_before", "minute", "period")

    def __init__(self) -> None:
        self.minute = self.period = -1
        self.attempts = self.before = 0
        self.judged = self.errors = 0
        self.judged_before = (0, 0)

    def count(self, now: float, *, judged: bool, error: bool) -> None:
        """Count an attempt that ended now."""
        self.turn(now)
        self.attempts += 1
        self.judged += judged
        self.errors += error

    def turn(self, now: float) -> None:
        """Begin a new minute and a new period if it is time."""
        minute = int(now // MINUTE_S)
        if minute != self.minute:
            self.before = self.attempts if minute == self.minute + 1 else 0
            self.minute, self.attempts = minute, 0
        period = int(now // ERRORS_S)
        if period != self.period:
            following = period == self.period + 1
            self.judged_before = (self.judged, self.errors) if following else (0, 0)
            self.period, self.judged, self.errors = period, 0, 0


class Rates:
    """The rates of one worker's accounts."""

    def __init__(self) -> None:
        self._counts: dict[AccountId, _Counts] = {}
        self._all = _Counts()

    def attempt(self, account_id: AccountId, outcome: Outcome, *, now: float) -> None:
        """Count an attempt that is over."""
        counts = self._counts.get(account_id)
        if counts is None:
            counts = self._counts[account_id] = _Counts()
        judged = not isinstance(outcome, Abandoned | Refused)
        error = judged and not isinstance(outcome, Succeeded)
        counts.count(now, judged=judged, error=error)
        self._all.count(now, judged=judged, error=error)

    def a_minute(self, account_id: AccountId | None = None, *, now: float) -> float:
        """Return how many attempts ended in the last minute, on one account or on all."""
        counts = self._all if account_id is None else self._counts.get(account_id)
        if counts is None:
            return 0.0
        counts.turn(now)
        return counts.attempts + counts.before * (1.0 - now % MINUTE_S / MINUTE_S)

    def errors(self, account_id: AccountId | None = None, *, now: float) -> float | None:
        """Return the share of failed attempts; None without any attempt."""
        counts = self._all if account_id is None else self._counts.get(account_id)
        if counts is None:
            return None
        counts.turn(now)
        judged = counts.judged + counts.judged_before[0]
        return (counts.errors + counts.judged_before[1]) / judged if judged else None

    def forget(self, account_id: AccountId) -> None:
        """Forget an account that is gone."""
        self._counts.pop(account_id, None)
