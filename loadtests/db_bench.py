"""`make db-bench`: do the dashboard's queries stay fast when the tables are full?

Ten million requests of 30 days in Postgres and one million in SQLite, of 100 keys on 20 accounts
with 3 models, mixed so thoroughly that nearly every combination occurs in every hour: the rollups
are as large as they get. Each query is run five times; its median and its worst time are printed,
and the worst one counts: a query that needs `LIMIT_MS` or more is shown with its plan, and the exit
status is 1. Beside that it prints how long it takes to take 500 attempts with their requests into
the full tables, and to delete a batch of old rows. Postgres runs as it is configured by default,
with its files in a temporary folder.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final

from sqlalchemy import event

from app.clock import SystemClock
from app.domain.ledger import AttemptRow, RequestRow, Source
from app.domain.report import Dimension, Only, Place, Step, Wanted, Window
from app.domain.usage import Usage
from app.settings import Driver, Settings
from app.store.engine import Database
from app.store.ledger import StoredLedger
from app.store.reports import Reports
from app.store.request_log import RequestLog
from app.store.retention import BATCH_ROWS, Retention
from app.store.store import database_of, upgrade_schema
from loadtests.db_fill import END, RARE_MODEL, Filling, fill_postgres, fill_sqlite
from tests.servers import PostgresServer

LIMIT_MS: Final = 200.0
RUNS: Final = 5
BATCH: Final = 500
KEPT_DAYS: Final = 27

Query = Callable[[], Awaitable[object]]


def main() -> None:
    """Fill, ask and tell."""
    parser = argparse.ArgumentParser(description="The dashboard's queries on full tables.")
    parser.add_argument("--postgres-rows", type=int, default=10_000_000)
    parser.add_argument("--sqlite-rows", type=int, default=1_000_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="db-bench-") as folder:
        slow = _sqlite(Path(folder), arguments.sqlite_rows)
        slow += _postgres(Path(folder), arguments.postgres_rows)
    if slow:
        print(f"\n{slow} queries took {LIMIT_MS:.0f} ms or more.")
    sys.exit(1 if slow else 0)


def _sqlite(folder: Path, rows: int) -> int:
    if not rows:
        return 0
    settings = Settings(data_dir=folder / "data")
    asyncio.run(upgrade_schema(settings))
    begun_at = time.perf_counter()
    asyncio.run(fill_sqlite(settings.sqlite_path, Filling(rows)))
    _filled("SQLite", rows, begun_at)
    return asyncio.run(_bench(settings))


def _postgres(folder: Path, rows: int) -> int:
    if not rows:
        return 0
    place = folder / "postgres"
    place.mkdir()
    server = PostgresServer(place)
    server.start()
    try:
        url = server.database()
        settings = Settings(
            database_driver=Driver.POSTGRES, database_url=url, data_dir=folder / "none"
        )
        asyncio.run(upgrade_schema(settings))
        begun_at = time.perf_counter()
        asyncio.run(fill_postgres(url, Filling(rows)))
        _filled("Postgres", rows, begun_at)
        return asyncio.run(_bench(settings))
    finally:
        server.stop()


def _filled(name: str, rows: int, begun_at: float) -> None:
    print(f"\n{name}: {rows:,} requests, made in {time.perf_counter() - begun_at:.0f} s")


async def _bench(settings: Settings) -> int:
    """Return how many queries were too slow."""
    database = database_of(settings)
    try:
        slow = 0
        for name, query in _queries(database).items():
            times = [await _timed_ms(query) for _ in range(RUNS)]
            late = max(times) >= LIMIT_MS
            _tell(name, times, "  TOO SLOW" if late else "")
            if late:
                slow += 1
                await _explain(database, query)
        await _writes(database)
    finally:
        await database.close()
    return slow


def _tell(name: str, times: Sequence[float], more: str) -> None:
    print(f"  {name:41} {median(times):8.1f} {max(times):8.1f} ms{more}", flush=True)


def _queries(database: Database) -> Mapping[str, Query]:
    return _reports(Reports(database)) | _pages(RequestLog(database))


def _reports(reports: Reports) -> dict[str, Query]:
    day, month = Window(Step.HOUR, 24), Window(Step.DAY, 30)
    key, account = Only(caller_id="key-7"), Only(account_id="account-3")
    both = Only(caller_id="key-7", account_id="account-3")
    queries: dict[str, Query] = {
        "overview": partial(reports.overview, END),
        "overview of a key": partial(reports.overview, END, key),
        "overview of a key on an account": partial(reports.overview, END, both),
        "series of 48 hours": partial(reports.series, Window(Step.HOUR, 48), END),
        "series of 92 days": partial(reports.series, Window(Step.DAY, 92), END),
        "spending": partial(reports.spending, END, month_start=END - 30 * 86_400),
    }
    for name, window in (("24 hours", day), ("30 days", month)):
        queries[f"codes, {name}"] = partial(reports.codes, window, END)
        queries[f"codes of a key, {name}"] = partial(reports.codes, window, END, key)
        queries[f"codes of a key on an account, {name}"] = partial(reports.codes, window, END, both)
        queries[f"latency, {name}"] = partial(reports.latency, window, END)
        queries[f"latency of an account, {name}"] = partial(reports.latency, window, END, account)
        for dimension in Dimension:
            by = f"by {dimension.name.lower()}"
            lines = partial(reports.lines, dimension, window, END)
            queries[f"{by}, {name}"] = lines
            queries[f"{by} of a key, {name}"] = partial(lines, key)
            queries[f"{by} of an account, {name}"] = partial(lines, account)
            queries[f"{by} of a model, {name}"] = partial(lines, Only(model="gpt-1"))
    return queries


def _pages(log: RequestLog) -> dict[str, Query]:
    deep = Place(END - 20 * 86_400.0, "x")
    pages: dict[str, tuple[Wanted, Place | None]] = {
        "first page": (Wanted(), None),
        "page, 20 days back": (Wanted(), deep),
        "page of a key": (Wanted(caller_id="key-7"), None),
        "page of an account": (Wanted(account_id="account-3"), None),
        "page of a key on an account": (Wanted(caller_id="key-7", account_id="account-3"), None),
        "page of a key on an account, deep": (
            Wanted(caller_id="key-7", account_id="account-3"),
            deep,
        ),
        "page of errors": (Wanted(status_class=5), None),
        "page of a code": (Wanted(code="upstream_3"), None),
        "page of a rare model": (Wanted(model=RARE_MODEL), None),
        "page of a code that never was": (Wanted(code="none"), None),
        "page of a code that never was, deep": (Wanted(code="none"), deep),
        "page of a key, code that never was": (Wanted(caller_id="key-7", code="none"), None),
        "page of an hour": (Wanted(since=END - 90_000.0, until=END - 86_400.0), None),
        "page of an unknown account": (Wanted(account_id="none"), None),
    }
    queries: dict[str, Query] = {
        name: partial(log.page, wanted, after=after, limit=200)
        for name, (wanted, after) in pages.items()
    }
    queries["one request"] = partial(log.request, "00c0ffee00c0ffee-ffff")
    queries["attempts of an account"] = partial(log.attempts, "account-3", limit=200)
    return queries


async def _timed_ms(query: Query) -> float:
    begun_at = time.perf_counter()
    await query()
    return 1_000 * (time.perf_counter() - begun_at)


async def _explain(database: Database, query: Query) -> None:
    """Print the plans of the statements that a query runs."""
    said: list[tuple[str, Any]] = []
    engine = database._readers.sync_engine  # noqa: SLF001 - its statements are listened to

    def note(*arguments: Any) -> None:
        said.append((arguments[2], arguments[3]))

    event.listen(engine, "before_cursor_execute", note)
    await query()
    event.remove(engine, "before_cursor_execute", note)
    word = "EXPLAIN QUERY PLAN" if engine.dialect.name == "sqlite" else "EXPLAIN (ANALYZE, BUFFERS)"
    async with database.read() as connection:
        for statement, parameters in said:
            plan = await connection.exec_driver_sql(f"{word} {statement}", parameters)
            print("\n".join(f"      {row[-1]}" for row in plan))


async def _writes(database: Database) -> None:
    """Tell what it costs to write into tables of this size."""
    ledger = StoredLedger(database, clock=SystemClock())
    taken = []
    for number in range(RUNS):
        attempts, requests = _batch(number)
        take = partial(ledger.take, attempts, requests, segment="bench/1", offset=number + 1)
        taken.append(await _timed_ms(take))
    _tell(f"{BATCH} attempts and requests taken", taken, "")
    sweep = Retention(database, pause=partial(asyncio.sleep, 0)).sweep
    begun_at = time.perf_counter()
    swept = await sweep(END, log_days=KEPT_DAYS, hours_days=90, audit_days=365)
    batches = swept.rows["requests"] // BATCH_ROWS + swept.rows["attempts"] // BATCH_ROWS
    each_ms = 1_000 * (time.perf_counter() - begun_at) / max(1, batches)
    _tell(f"{BATCH_ROWS} old rows deleted, mean", [each_ms], f"  {swept.rows}")


def _batch(number: int) -> tuple[list[AttemptRow], list[RequestRow]]:
    names = [f"bench-{number}-{n}" for n in range(BATCH)]
    pairs = [_pair(uid, n, at=END + number + n / BATCH) for n, uid in enumerate(names)]
    return [attempt for attempt, _ in pairs], [request for _, request in pairs]


def _pair(uid: str, n: int, *, at: float) -> tuple[AttemptRow, RequestRow]:
    attempt = AttemptRow(
        uid=uid,
        number=1,
        at=at,
        caller_id=f"key-{n % 50}",
        account_id=f"account-{n % 20}",
        model="gpt-1",
        outcome="succeeded",
        code=None,
        usage=Usage(1_000, 100, 0, 200, 50),
        source=Source.UPSTREAM,
        cost_nusd=1_000,
        prices=1,
        queue_s=0.0,
        first_event_s=0.5,
        seconds=3.0,
        delivered=True,
    )
    request = RequestRow(
        uid=uid,
        request_id=uid,
        at=at,
        caller_id=attempt.caller_id,
        account_id=attempt.account_id,
        dialect="responses",
        model="gpt-1",
        asked_model="gpt-1",
        stream=True,
        status=200,
        code="ok",
        attempts=1,
        usage=attempt.usage,
        source=Source.UPSTREAM,
        cost_nusd=1_000,
        queue_s=0.0,
        first_event_s=0.5,
        seconds=3.0,
        added_s=0.001,
        interrupted=False,
    )
    return attempt, request


if __name__ == "__main__":
    main()
