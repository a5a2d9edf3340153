"""What a dashboard asks: sums, series and shares, answered from the rollups alone.

No query in here reads a row of a request, and each is bounded by how many hours or days it may
span, so that a page costs the same whether there were a thousand calls or ten million. What asks
about one thing at a time (all calls, one key, a line for each model) reads the totals; only
combinations (the models of one key) read the sums by all. Hours and days are those of UTC; the
present one is part of every window. The list of single requests is `app.store.request_log`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import BigInteger, ColumnElement, Row, Select, Table, case, cast, func, select

from app.domain.report import (
    DAY_S,
    EVERYTHING,
    HOUR_S,
    Code,
    Dimension,
    Latency,
    Line,
    Only,
    Overview,
    Point,
    Spent,
    Step,
    Totals,
    Window,
)
from app.domain.usage import Usage
from app.store.engine import Database
from app.store.rollups import ALL, FIRST_EVENT_BOUNDS_S
from app.store.tables import (
    FIRST_EVENT_COLUMNS,
    day_totals,
    error_hours,
    error_totals,
    hour_totals,
    usage_days,
    usage_hours,
)

_TABLES: Final = {
    Step.HOUR: (usage_hours, hour_totals),
    Step.DAY: (usage_days, day_totals),
}
IDS_MAX: Final = 500
LINES_MAX: Final = 200
"""Models, accounts, keys or codes in one answer; those with the most requests."""


class Reports:
    """Reads the rollups."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def overview(self, now: float, only: Only = EVERYTHING) -> Overview:
        """Return the sums of the windows that everybody looks at first."""
        hours = await self.series(Window(Step.HOUR, 24), now, only)
        days = await self.series(Window(Step.DAY, 30), now, only)
        return Overview(
            hour=hours[-1].totals,
            today=days[-1].totals,
            day=_sum(hours),
            week=_sum(days[-7:]),
            month=_sum(days),
        )

    async def series(self, window: Window, now: float, only: Only = EVERYTHING) -> list[Point]:
        """Return a point for each hour or day of the window, also for those without any call."""
        source = _source(window, now, only)
        start = source.table.c.start
        query = source.select(start, *_totals_of(source.table)).group_by(start)
        found = {row.start: _totals(row) for row in await self._all(query)}
        return [Point(each, found.get(each, _NOTHING)) for each in window.starts(now)]

    async def lines(
        self, dimension: Dimension, window: Window, now: float, only: Only = EVERYTHING
    ) -> list[Line]:
        """Return the models, accounts or callers of the window, most requests first."""
        source = _source(window, now, only, by=dimension)
        query = (
            source.select(source.id.label("line"), *_totals_of(source.table))
            .group_by(source.id)
            .order_by(func.sum(source.table.c.requests).desc(), source.id)
            .limit(LINES_MAX)
        )
        return [Line(row.line, _totals(row)) for row in await self._all(query)]

    async def since(
        self, dimension: Dimension, ids: Sequence[str], *, start: float
    ) -> dict[str, Totals]:
        """Return the sums of some accounts or callers from the hour on that has `start`.

        An hour that began before `start` counts as a whole; it is bounded like a window of hours.
        """
        columns = hour_totals.c
        query = (
            select(columns.id.label("line"), *_totals_of(hour_totals))
            .where(
                columns.dimension == dimension.value,
                columns.start >= int(start) // HOUR_S * HOUR_S,
                columns.id.in_(ids[:IDS_MAX]),
            )
            .group_by(columns.id)
        )
        return {row.line: _totals(row) for row in await self._all(query)}

    async def codes(self, window: Window, now: float, only: Only = EVERYTHING) -> list[Code]:
        """Return the errors of the window, most frequent first."""
        source = _narrowed(error_hours, error_totals, window, now, only)
        columns = source.table.c
        met = _whole(columns.requests).label("met")
        query = (
            source.select(columns.code, met)
            .group_by(columns.code)
            .order_by(met.desc(), columns.code)
            .limit(LINES_MAX)
        )
        return [Code(row.code, row.met) for row in await self._all(query)]

    async def latency(self, window: Window, now: float, only: Only = EVERYTHING) -> Latency:
        """Return how long callers waited for the first event."""
        source = _source(window, now, only)
        columns = source.table.c
        buckets = [_whole(columns[name]) for name in FIRST_EVENT_COLUMNS]
        query = source.select(func.sum(columns.first_event_s), *buckets)
        values = tuple((await self._all(query))[0])
        total_s, counts = values[0], [number or 0 for number in values[1:]]
        count = sum(counts)
        return Latency(
            count=count,
            mean_s=total_s / count if count else None,
            p50_s=percentile(counts, 0.5),
            p90_s=percentile(counts, 0.9),
            p99_s=percentile(counts, 0.99),
        )

    async def spending(self, now: float, *, month_start: float) -> dict[str, Spent]:
        """Return what each caller has spent since `month_start`, when a month of UTC began."""
        columns, today = day_totals.c, int(now) // DAY_S * DAY_S
        of_today = case((columns.start >= today, columns.cost_nusd), else_=0)
        day, month = _whole(of_today).label("day"), _whole(columns.cost_nusd).label("month")
        mine = (columns.dimension == Dimension.CALLER.value, columns.start >= int(month_start))
        query = select(columns.id, day, month).where(*mine).group_by(columns.id)
        return {row.id: Spent(row.day, row.month) for row in await self._all(query)}

    async def _all(self, query: Select[Any]) -> Sequence[Row[Any]]:
        async with self._database.read() as connection:
            rows: Sequence[Row[Any]] = (await connection.execute(query)).all()
        return rows


def percentile(counts: Sequence[int], share: float) -> float | None:
    """Return the time within which `share` of the first events came; None if there were none.

    Within a bucket the events count as spread evenly. The last bucket has no end, so its lower
    bound is returned for whatever lies in it.
    """
    wanted = share * sum(counts)
    if not wanted:
        return None
    below = 0
    for number, most in enumerate(FIRST_EVENT_BOUNDS_S):
        count = counts[number]
        if below + count >= wanted:
            least = FIRST_EVENT_BOUNDS_S[number - 1] if number else 0.0
            return least + (most - least) * (wanted - below) / count
        below += count
    return FIRST_EVENT_BOUNDS_S[-1]


_NOTHING: Final = Totals()
_COUNTS: Final = (
    "requests",
    "errors",
    "attempts",
    "input",
    "cached",
    "cache_write",
    "output",
    "reasoning",
    "cost_nusd",
    "first_events",
)


def _whole(column: ColumnElement[Any]) -> ColumnElement[int]:
    """Return a sum as a whole number; Postgres makes a decimal of it otherwise."""
    return cast(func.sum(column), BigInteger)


def _totals_of(table: Table) -> list[ColumnElement[Any]]:
    whole = [_whole(table.c[name]).label(name) for name in _COUNTS]
    parts = [func.sum(table.c[name]).label(name) for name in ("seconds", "first_event_s")]
    return [*whole, *parts]


def _totals(row: Row[Any]) -> Totals:
    return Totals(
        requests=row.requests,
        errors=row.errors,
        attempts=row.attempts,
        usage=Usage(row.input, row.cached, row.cache_write, row.output, row.reasoning),
        cost_nusd=row.cost_nusd,
        seconds=row.seconds,
        first_events=row.first_events,
        first_event_s=row.first_event_s,
    )


class _Source(Struct, frozen=True):
    """The rows that answer a question, and the column that tells its lines apart."""

    table: Table
    conditions: list[ColumnElement[bool]]
    id: ColumnElement[str]

    def select(self, *columns: ColumnElement[Any]) -> Select[Any]:
        """Return the query for `columns` of these rows."""
        query: Select[Any] = select(*columns)
        return query.where(*self.conditions)


def _source(window: Window, now: float, only: Only, *, by: Dimension | None = None) -> _Source:
    step = window.step
    usage, totals = _TABLES[step]
    return _narrowed(usage, totals, window, now, only, by=by)


def _narrowed(
    all_together: Table,
    one_at_a_time: Table,
    window: Window,
    now: float,
    only: Only,
    *,
    by: Dimension | None = None,
) -> _Source:
    """Return the fewest rows that answer: totals, unless a combination is asked about."""
    chosen = only.chosen()
    dimensions = {*chosen, *([by] if by else [])}
    if len(dimensions) > 1:
        table = all_together
        line = table.c[(by or Dimension.CALLER).value]
        return _Source(table, _conditions(table, window, now, chosen), line)
    table = one_at_a_time
    dimension = next((each.value for each in dimensions), ALL)
    conditions = [table.c.dimension == dimension, *_conditions(table, window, now, {})]
    conditions += [table.c.id == wanted for wanted in chosen.values()]
    return _Source(table, conditions, table.c.id)


def _conditions(
    table: Table, window: Window, now: float, chosen: Mapping[Dimension, str]
) -> list[ColumnElement[bool]]:
    starts = window.starts(now)
    return [
        table.c.start >= starts[0],
        table.c.start <= starts[-1] + window.step.seconds - 1,
        *(table.c[dimension.value] == wanted for dimension, wanted in chosen.items()),
    ]


def _sum(points: Sequence[Point]) -> Totals:
    all_of = [point.totals for point in points]
    used = [totals.usage for totals in all_of]
    return Totals(
        requests=sum(each.requests for each in all_of),
        errors=sum(each.errors for each in all_of),
        attempts=sum(each.attempts for each in all_of),
        usage=Usage(
            input=sum(each.input for each in used),
            cached=sum(each.cached for each in used),
            cache_write=sum(each.cache_write for each in used),
            output=sum(each.output for each in used),
            reasoning=sum(each.reasoning for each in used),
        ),
        cost_nusd=sum(each.cost_nusd for each in all_of),
        seconds=sum(each.seconds for each in all_of),
        first_events=sum(each.first_events for each in all_of),
        first_event_s=sum(each.first_event_s for each in all_of),
    )
