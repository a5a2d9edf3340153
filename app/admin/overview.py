"""How the gateway does now, in numbers: what the first page and the operations page show.

Everything is asked of those who know, when somebody looks; what costs more than a few lookups (the
forecast, the sums of today) is asked again only after a while.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from msgspec import Struct

from app.admin.rates import Rates
from app.admin.roster import Roster
from app.admin.rows import ReportRows
from app.domain.report import Step as WindowStep
from app.domain.report import Totals, Window
from app.errors import StateError
from app.pool.runway import Runway
from app.ports import Clock

FORECAST_S: Final = 10.0
TODAY_S: Final = 15.0


class JournalNumbers(Struct, frozen=True):
    """What was written down of calls and has not reached the database yet."""

    depth: int
    age_s: float
    healthy: bool
    """False while calls can't be written down; new ones are refused then."""
    lost: int
    refused: int


class RunwayRow(Struct, frozen=True):
    """How long the accounts last at this load; null for longer than their longest window."""

    low_s: float | None
    mid_s: float | None
    high_s: float | None
    limited_by: str


class Today(Struct, frozen=True):
    """The sums of the present day of UTC, over all workers."""

    requests: int
    errors: int
    input_tokens: int
    output_tokens: int
    cost_usd: float


class Numbers(Struct, frozen=True):
    """How this worker does now."""

    at: float
    in_flight: int
    streams: int
    queue_depth: int
    attempts_per_minute: float
    error_ratio: float | None
    accounts: dict[str, int]
    """How many accounts are in which state."""
    runway: RunwayRow | None
    """Null without load, or while nothing is known of the windows."""
    today: Today | None
    """Null while the database is away."""
    loop_lag_s: float
    memory_bytes: int
    cpu_ratio: float
    """CPU time of the process as a share of one core since the last look."""
    store_up: bool
    draining: bool
    journal: JournalNumbers


class WorkerRow(Struct, frozen=True):
    """The process that answers."""

    version: str
    host: str
    pid: int
    incarnation: str
    began_at: float
    workers: int
    """How many processes serve this listener."""


class OperationsPage(Struct, frozen=True):
    """What operators look at when something is wrong."""

    worker: WorkerRow
    numbers: Numbers
    database: str
    database_revision: int
    cache: str
    """`memory`, or `redis`."""
    connections: dict[str, float]
    """Upstream connections and sockets by state, and clean-ups by reason, as in the metrics."""


class Vitals(Struct, frozen=True):
    """Whom to ask; none of it waits."""

    in_flight: Callable[[], int]
    streams: Callable[[], int]
    queue_depth: Callable[[], int]
    loop_lag_s: Callable[[], float]
    memory_bytes: Callable[[], int]
    cpu_s: Callable[[], float]
    store_up: Callable[[], bool]
    draining: Callable[[], bool]
    journal: Callable[[], JournalNumbers]
    runway: Callable[[float], Runway | None]
    connections: Callable[[], Mapping[str, float]]
    revision: Callable[[], int]


class Overview:
    """Asks the parts of one worker."""

    def __init__(  # noqa: PLR0913 - keyword-only, the parts that compose brings together
        self,
        *,
        vitals: Vitals,
        roster: Roster,
        rates: Rates,
        reports: ReportRows,
        clock: Clock,
        worker: WorkerRow,
        places: tuple[str, str],
    ) -> None:
        """Take what the database and the cache are called as `places`."""
        self._vitals = vitals
        self._roster = roster
        self._rates = rates
        self._reports = reports
        self._clock = clock
        self._worker = worker
        self._places = places
        self._forecast: tuple[float, RunwayRow | None] = (float("-inf"), None)
        self._today: tuple[float, Today | None] = (float("-inf"), None)
        self._cpu = (clock.monotonic(), vitals.cpu_s())

    async def numbers(self) -> Numbers:
        """Return how this worker does now."""
        vitals, now = self._vitals, self._clock.now()
        return Numbers(
            at=now,
            in_flight=vitals.in_flight(),
            streams=vitals.streams(),
            queue_depth=vitals.queue_depth(),
            attempts_per_minute=round(self._rates.a_minute(now=now), 2),
            error_ratio=self._rates.errors(now=now),
            accounts=await self._roster.statuses(),
            runway=self._runway(now),
            today=await self._sums_of_today(now),
            loop_lag_s=vitals.loop_lag_s(),
            memory_bytes=vitals.memory_bytes(),
            cpu_ratio=self._cpu_ratio(),
            store_up=vitals.store_up(),
            draining=vitals.draining(),
            journal=vitals.journal(),
        )

    async def operations(self) -> OperationsPage:
        """Return what the operations page shows."""
        database, cache = self._places
        return OperationsPage(
            worker=self._worker,
            numbers=await self.numbers(),
            database=database,
            database_revision=self._vitals.revision(),
            cache=cache,
            connections=dict(self._vitals.connections()),
        )

    @property
    def draining(self) -> bool:
        """Tell whether this worker is going away."""
        return self._vitals.draining()

    @property
    def in_flight(self) -> int:
        """Return how many calls this worker has in flight."""
        return self._vitals.in_flight()

    @property
    def revision(self) -> int:
        """Return the state of the store that was taken over last."""
        return self._vitals.revision()

    def _runway(self, now: float) -> RunwayRow | None:
        at, known = self._forecast
        if not 0 <= now - at < FORECAST_S:
            found = self._vitals.runway(now)
            known = None if found is None else _row(found)
            self._forecast = (now, known)
        return known

    async def _sums_of_today(self, now: float) -> Today | None:
        at, known = self._today
        if not 0 <= now - at < TODAY_S:
            known = None
            with suppress(StateError):
                (point,) = await self._reports.series(Window(WindowStep.DAY, 1), now)
                known = _today(point.totals)
            self._today = (now, known)
        return known

    def _cpu_ratio(self) -> float:
        then, before = self._cpu
        now, taken = self._clock.monotonic(), self._vitals.cpu_s()
        if now - then < 0.5:
            return 0.0 if now <= then else (taken - before) / (now - then)
        self._cpu = (now, taken)
        return (taken - before) / (now - then)


def _row(found: Runway) -> RunwayRow:
    low, mid, high = (
        None if seconds == float("inf") else seconds
        for seconds in (found.low_s, found.mid_s, found.high_s)
    )
    return RunwayRow(low, mid, high, found.limited_by)


def _today(totals: Totals) -> Today:
    return Today(
        requests=totals.requests,
        errors=totals.errors,
        input_tokens=totals.usage.input,
        output_tokens=totals.usage.output,
        cost_usd=totals.cost_nusd / 1e9,
    )
