"""Prometheus metrics of one worker: counted on the path of a call, read at a scrape.

A count is a plain addition to a number in a dict; the Prometheus client only ever reads them, when
somebody scrapes. Labels come from small sets: dialects, health states, and the first so many
codes and models that are seen (the rest is "other"). Never a key or a prompt. What is told of each
account is in `app.telemetry.account_counts` and `app.telemetry.account_gauges`.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.metrics_core import Metric

from app import __version__
from app.domain.account import Account
from app.domain.call import Call, Dialect
from app.domain.outcome import Outcome, Succeeded
from app.domain.runtime import Strategy
from app.domain.usage import Heard
from app.pool.state import AccountState, Health
from app.telemetry.account_counts import AccountCounts
from app.telemetry.flow import Flow
from app.telemetry.labels import OTHER, Words

SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
MODELS_MAX: Final = 64
CODES_MAX: Final = 128
REASONS: Final = frozenset({"session", "owner", "preferred", "only"})
"""Why an account was chosen, if not by the pool's strategy."""
CHOICE: Final = "choice"
STRATEGIES: Final = frozenset(strategy.value for strategy in Strategy)
SSE: Final = "sse"
WEBSOCKET: Final = "websocket"
TRANSPORTS: Final = (SSE, WEBSOCKET)
STREAMED: Final = frozenset({200, 499})
"""Statuses of streams: an answer, or a caller that left."""
REFRESHES: Final = frozenset({"renewed", "failed", "dead"})


class Histogram:
    """Counts of observations by bucket; upper bounds in `SECONDS`."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(SECONDS) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """Count one observation."""
        self.counts[bisect_left(SECONDS, seconds)] += 1
        self.total += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Return the cumulative counts as Prometheus wants them."""
        running, found = 0, []
        for bound, count in zip((*map(str, SECONDS), "+Inf"), self.counts, strict=True):
            running += count
            found.append((bound, float(running)))
        return found


class Metrics:
    """Counts what happens; an `Observer` and a `CallObserver` (see `app.ports`).

    `accounts` is told of attempts too; it is a source of metrics of its own.
    """

    def __init__(
        self,
        *,
        accounts: AccountCounts | None = None,
        monotonic: Callable[[], float] = float,
    ) -> None:
        self.strategy = Strategy.BALANCED
        """The one that the pool has now."""
        self._accounts = accounts
        self._requests: defaultdict[tuple[str, str, str], int] = defaultdict(int)
        self._attempts: defaultdict[str, int] = defaultdict(int)
        self._tokens: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._selections: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._refreshes: defaultdict[str, int] = defaultdict(int)
        self._models = Words(MODELS_MAX)
        self._codes = Words(CODES_MAX)
        self._first_event = Histogram()
        self._duration = Histogram()
        self._stream = Histogram()
        self._queue_wait = Histogram()
        self._turns = Histogram()
        self._streams = dict.fromkeys(TRANSPORTS, 0)
        self._flow = Flow(monotonic)
        self.passed = self._flow.passed

    def leased(self, call: Call, reason: str, waited_s: float) -> None:
        """A lease was found."""
        del call
        self._selections[self.strategy, reason] += 1
        self._queue_wait.observe(waited_s)

    def refused(self, call: Call, code: str, waited_s: float) -> None:
        """No lease was found; the code is counted when the call is answered."""
        del call, code
        self._queue_wait.observe(waited_s)

    def refreshed(self, result: str) -> None:
        """A credential was renewed, or was not: one of `REFRESHES`."""
        self._refreshes[result if result in REFRESHES else OTHER] += 1

    def began(self, call: Call, account: Account) -> None:
        """Content has come; what is counted of it is counted when the attempt is over."""

    def attempt(
        self, call: Call, account: Account, outcome: Outcome, heard: Heard | None = None
    ) -> None:
        """An attempt is over."""
        del heard
        if self._accounts is not None:
            self._accounts.attempt(account, outcome)
        self._attempts[type(outcome).__name__.lower()] += 1
        if isinstance(outcome, Succeeded) and outcome.usage is not None:
            usage, model = outcome.usage, self._models.label(call.model)
            self._tokens[model, "input"] += usage.input
            self._tokens[model, "cached"] += usage.cached
            self._tokens[model, "cache_write"] += usage.cache_write
            self._tokens[model, "output"] += usage.output
            self._tokens[model, "reasoning"] += usage.reasoning

    def stream_began(self, call: Call, first_event_s: float) -> None:
        """The first content of a stream is about to go out."""
        self._streams[_transport(call)] += 1
        self._first_event.observe(first_event_s)

    def stream_ended(self, call: Call) -> None:
        """A stream that had begun is over."""
        self._streams[_transport(call)] -= 1

    def call(
        self, dialect: Dialect, call: Call | None, status: int, code: str, seconds: float
    ) -> None:
        """A request was answered."""
        label = self._codes.label(code if code != "ok" or status == 200 else str(status))
        model = self._models.label(call.model) if call else "none"
        self._requests[dialect.value, model, label] += 1
        self._duration.observe(seconds)
        if call is not None and call.live:
            self._turns.observe(seconds)
        if call is not None and call.stream and status in STREAMED:
            self._stream.observe(seconds)

    @property
    def streams(self) -> int:
        """How many streams are under way."""
        return sum(self._streams.values())

    def families(self) -> Iterator[Metric]:
        """Yield everything as Prometheus metric families."""
        requests = CounterMetricFamily(
            "codex2api_requests", "Requests answered.", labels=("dialect", "model", "code")
        )
        for labels, count in self._requests.items():
            requests.add_metric(labels, count)
        yield requests
        yield _counter("codex2api_attempts", "Attempts by outcome.", "outcome", self._attempts)
        tokens = CounterMetricFamily(
            "codex2api_tokens", "Tokens as the upstream counted them.", labels=("model", "kind")
        )
        for pair, count in self._tokens.items():
            tokens.add_metric(pair, count)
        yield tokens
        yield _histogram(
            "codex2api_time_to_first_event_seconds",
            "From the request's first byte to the first content of a stream.",
            self._first_event,
        )
        yield _histogram(
            "codex2api_request_seconds",
            "From the request's first byte to the answer's last.",
            self._duration,
        )
        yield _histogram(
            "codex2api_stream_seconds", "The same for streams, to their end.", self._stream
        )
        streams = GaugeMetricFamily(
            "codex2api_streams_in_flight", "Streams under way.", labels=("transport",)
        )
        for transport, under_way in self._streams.items():
            streams.add_metric((transport,), under_way)
        yield streams
        yield _histogram(
            "codex2api_websocket_turn_seconds",
            "From a turn's message on a WebSocket to its last event.",
            self._turns,
        )
        yield from self._flow.families()
        yield from self._selection()

    def _selection(self) -> Iterator[Metric]:
        selections = CounterMetricFamily(
            "codex2api_selection",
            "Accounts leased: by the pool's strategy (choice), or why not by it.",
            labels=("strategy", "reason"),
        )
        totals: defaultdict[tuple[str, str], int] = defaultdict(int)
        for (strategy, reason), count in self._selections.items():
            totals[strategy, _reason(reason)] += count
        for pair, count in totals.items():
            selections.add_metric(pair, count)
        yield selections
        yield _histogram(
            "codex2api_queue_wait_seconds",
            "How long a call stood in line for an account, 0 for most; refused ones too.",
            self._queue_wait,
        )
        yield _counter(
            "codex2api_credential_refresh",
            "Renewals of credentials.",
            "result",
            dict.fromkeys(sorted(REFRESHES), 0) | self._refreshes,
        )


def _transport(call: Call) -> str:
    return WEBSOCKET if call.live else SSE


def _reason(reason: str) -> str:
    if reason in REASONS:
        return reason
    return CHOICE if reason in STRATEGIES else OTHER


class Gauges:
    """Read at a scrape from those who know."""

    def __init__(
        self,
        *,
        accounts: Callable[[], Iterable[AccountState]],
        waiting: Callable[[], int],
        late: Callable[[], int],
        loop_lag_s: Callable[[], float],
        store_up: Callable[[], bool],
        shared: Callable[[], tuple[bool, float]],
    ) -> None:
        self._accounts = accounts
        self._waiting = waiting
        self._late = late
        self._loop_lag_s = loop_lag_s
        self._store_up = store_up
        self._shared = shared
        """Whether the other workers can be reached, and how old their last word is."""

    def families(self) -> Iterator[Metric]:
        """Yield the gauges of now."""
        healths = dict.fromkeys(Health, 0)
        in_flight = 0
        for state in self._accounts():
            healths[state.health] += 1
            in_flight += state.in_flight
        accounts = GaugeMetricFamily("codex2api_accounts", "Accounts.", labels=("health",))
        for health, count in healths.items():
            accounts.add_metric((health.value,), count)
        yield accounts
        yield GaugeMetricFamily("codex2api_leases", "Attempts under way.", value=in_flight)
        yield GaugeMetricFamily(
            "codex2api_queue_depth", "Calls waiting for an account.", value=self._waiting()
        )
        yield GaugeMetricFamily(
            "codex2api_late_requests",
            "Requests to the upstream that go on although they were cancelled.",
            value=self._late(),
        )
        yield GaugeMetricFamily(
            "codex2api_loop_lag_seconds",
            "How late the event loop ran its last heartbeat.",
            value=self._loop_lag_s(),
        )
        yield GaugeMetricFamily(
            "codex2api_store_up", "1 while the database answers.", value=float(self._store_up())
        )
        shared_up, shared_age_s = self._shared()
        yield GaugeMetricFamily(
            "codex2api_shared_up",
            "1 while the other workers can be reached; always 1 for one with nobody to share with.",
            value=float(shared_up),
        )
        yield GaugeMetricFamily(
            "codex2api_shared_sync_age_seconds",
            "How old the last word of the other workers is.",
            value=shared_age_s,
        )
        build = InfoMetricFamily("codex2api_build", "What runs here.")
        build.add_metric((), {"version": __version__})
        yield build


def _counter(name: str, help_: str, label: str, counts: dict[str, int]) -> Metric:
    family = CounterMetricFamily(name, help_, labels=(label,))
    for value, count in counts.items():
        family.add_metric((value,), count)
    return family


def _histogram(name: str, help_: str, histogram: Histogram) -> Metric:
    family = HistogramMetricFamily(name, help_)
    family.add_metric((), histogram.buckets(), histogram.total)
    return family
