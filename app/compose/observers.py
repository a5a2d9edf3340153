"""Tells all who want to know what happens on the path of a call, one after the other.

A refused credential is told of besides: the call itself may have been on its last attempt, or its
caller may have left, and nobody else would see to it.
"""

from collections.abc import Callable

from app.domain.account import Account
from app.domain.call import Call, Dialect
from app.domain.outcome import Outcome, Unauthorized
from app.domain.usage import Heard
from app.ports import Observer
from app.telemetry.metrics import Metrics
from app.telemetry.traces import Traces


class Observers:
    """Satisfies `app.ports.Observer`; the first is told first.

    `ended` is told how each attempt went; `unauthorized` is given an account, as it was then, whose
    credential was refused. Neither may wait.
    """

    def __init__(
        self,
        first: Observer,
        second: Observer,
        *others: Observer,
        unauthorized: Callable[[Account, Unauthorized], None],
        ended: Callable[[Account, Outcome], None] = lambda _account, _outcome: None,
    ) -> None:
        self._ended = ended
        self._first = first
        self._second = second
        self._others = others
        self._unauthorized = unauthorized

    def leased(self, call: Call, reason: str, waited_s: float) -> None:
        """A lease was found."""
        self._first.leased(call, reason, waited_s)
        self._second.leased(call, reason, waited_s)
        for other in self._others:
            other.leased(call, reason, waited_s)

    def refused(self, call: Call, code: str, waited_s: float) -> None:
        """No lease was found."""
        self._first.refused(call, code, waited_s)
        self._second.refused(call, code, waited_s)
        for other in self._others:
            other.refused(call, code, waited_s)

    def began(self, call: Call, account: Account) -> None:
        """The first content of an attempt's reply has come."""
        self._first.began(call, account)
        self._second.began(call, account)
        for other in self._others:
            other.began(call, account)

    def attempt(self, call: Call, account: Account, outcome: Outcome, heard: Heard | None) -> None:
        """An attempt is over."""
        self._first.attempt(call, account, outcome, heard)
        self._second.attempt(call, account, outcome, heard)
        for other in self._others:
            other.attempt(call, account, outcome, heard)
        self._ended(account, outcome)
        if isinstance(outcome, Unauthorized):
            self._unauthorized(account, outcome)


class Watchers:
    """Satisfies `app.ports.CallObserver` where calls are traced as well as counted."""

    def __init__(self, metrics: Metrics, traces: Traces) -> None:
        self._metrics = metrics
        self._traces = traces
        self.passed = metrics.passed
        self.stream_began = metrics.stream_began
        self.stream_ended = metrics.stream_ended

    def call(
        self, dialect: Dialect, call: Call | None, status: int, code: str, seconds: float
    ) -> None:
        """A request was answered."""
        self._metrics.call(dialect, call, status, code, seconds)
        self._traces.call(dialect, call, status, code, seconds)
