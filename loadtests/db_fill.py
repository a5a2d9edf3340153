"""Fills the tables of calls with as many rows as wanted, inside the database itself.

Row `n` follows from its number alone: keys, accounts, models, durations and errors come from a
multiplicative hash of it, so that two databases of one size hold the same. The text of the
statements is the same for both but for a few functions.
"""

import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

import asyncpg
from msgspec import Struct
from sqlalchemy import Table
from sqlalchemy.schema import CreateIndex

from app.domain.report import DAY_S, HOUR_S, Dimension
from app.store import bulk
from app.store.rollups import ALL, FIRST_EVENT_BOUNDS_S
from app.store.tables import (
    attempts,
    day_totals,
    error_hours,
    error_totals,
    hour_totals,
    requests,
    usage_days,
    usage_hours,
)

KEYS, ACCOUNTS, MODELS = 100, 20, 3
DAYS: Final = 30
END: Final = 1_790_000_000
"""The present of the rows: the last one came just before."""
RARE_MODEL: Final = "gpt-rare"
"""One request in 100,000 asks for it."""
_CHUNK: Final = 500_000

Execute = Callable[[str], Awaitable[None]]


class Filling(Struct, frozen=True):
    """How many requests, when the last of them came, and whose accounts answered."""

    rows: int
    end: int = END
    own_accounts: bool = False
    """Those that are in the database, instead of made-up ones."""

    @property
    def begin(self) -> int:
        """When the first request came, epoch seconds."""
        return self.end - DAYS * DAY_S

    @property
    def gap(self) -> str:
        """The seconds from one request to the next, as SQL."""
        return repr(DAYS * DAY_S / self.rows)

    @property
    def account(self) -> str:
        """The account of a row, as SQL."""
        if not self.own_accounts:
            return f"'account-' || CAST(r / 131072 % {ACCOUNTS} AS TEXT)"
        many = "(SELECT count(*) FROM numbered)"
        return f"(SELECT id FROM numbered WHERE place = r / 131072 % {many})"  # noqa: S608 - no input


async def fill_postgres(url: str, filling: Filling) -> None:
    """Fill a migrated Postgres database."""
    connection = await asyncpg.connect(url)

    async def execute(statement: str) -> None:
        await connection.execute(statement)

    numbers = "(SELECT generate_series({}::bigint, {}::bigint) AS n) AS numbers"
    await _fill(execute, filling, numbers=numbers, hexed="to_hex(n)")
    # What autovacuum does within minutes; the bench does not wait for it.
    await execute("VACUUM ANALYZE")
    await connection.close()


async def fill_sqlite(path: Path, filling: Filling) -> None:
    """Fill a migrated SQLite file."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA synchronous = OFF")

    async def execute(statement: str) -> None:
        connection.execute(statement)
        connection.commit()

    numbers = (
        "(WITH RECURSIVE up(n) AS (SELECT {} UNION ALL SELECT n + 1 FROM up WHERE n < {}) "
        "SELECT n FROM up) AS numbers"
    )
    await _fill(execute, filling, numbers=numbers, hexed="printf('%x', n)")
    connection.close()


async def _fill(execute: Execute, filling: Filling, *, numbers: str, hexed: str) -> None:
    rows = filling.rows
    if filling.own_accounts:
        await execute(
            "CREATE TABLE numbered AS "
            "SELECT row_number() OVER (ORDER BY id) - 1 AS place, id FROM accounts"
        )
        await execute("CREATE UNIQUE INDEX by_place ON numbered (place)")
    indexes = [index for table in (requests, attempts) for index in table.indexes]
    for index in indexes:
        await execute(f"DROP INDEX {index.name}")
    for first in range(1, rows + 1, _CHUNK):
        drawn = numbers.format(first, min(first + _CHUNK - 1, rows))
        await execute(_requests(drawn, filling, hexed))
        await execute(_attempts(f"{filling.begin} + {first - 1} * {filling.gap} - 1"))
    for index in indexes:
        await execute(str(CreateIndex(index).compile()))
    for usage, totals, step in (
        (usage_hours, hour_totals, HOUR_S),
        (usage_days, day_totals, DAY_S),
    ):
        await execute(_usage(usage, step))
        for dimension in (ALL, *(each.value for each in Dimension)):
            await execute(_totals(totals, usage, dimension))
    await execute(_errors())
    for dimension in (ALL, *(each.value for each in Dimension)):
        await execute(_error_totals(dimension))
    if filling.own_accounts:
        await execute("DROP TABLE numbered")


def _requests(numbers: str, filling: Filling, hexed: str) -> str:
    """Return the statement that makes the requests of some numbers."""
    hashed = "(n * 2654435761) % 4294967296"
    seconds = "0.2 + (r / 4096 % 1000) * (r / 64 % 1000) * 0.00002"
    failed = "r / 512 % 50 = 0"
    model = (
        f"CASE WHEN n % 100000 = 77 THEN '{RARE_MODEL}' "
        f"ELSE 'gpt-' || CAST(r / 8192 % {MODELS} AS TEXT) END"
    )
    values = {
        "uid": f"'00c0ffee00c0ffee-' || {hexed}",
        "request_id": f"'req_' || {hexed}",
        "at": f"{filling.begin} + n * {filling.gap}",
        "caller_id": f"'key-' || CAST(r % {KEYS} AS TEXT)",
        "account_id": filling.account,
        "dialect": "'responses'",
        "model": model,
        "asked_model": model,
        "stream": "r % 2 = 0",
        "status": f"CASE WHEN {failed} THEN 502 ELSE 200 END",
        "code": f"CASE WHEN {failed} THEN 'upstream_' || CAST(r / 65536 % 5 AS TEXT) ELSE 'ok' END",
        "attempts": "1",
        "input": "r % 20000",
        "cached": "r % 5000",
        "cache_write": "0",
        "output": "r / 256 % 3000",
        "reasoning": "r / 256 % 1000",
        "cost_nusd": "r % 90000000",
        "source": "'upstream'",
        "queue_s": "0.001",
        "first_event_s": f"CASE WHEN {failed} THEN NULL ELSE {seconds} END",
        "seconds": f"4 * ({seconds})",
        "added_s": "0.002",
        "interrupted": "r < 0",
    }
    chosen = ", ".join(values[column.name] for column in requests.columns)
    return (
        f"INSERT INTO requests ({bulk.columns(requests)}) SELECT {chosen} "  # noqa: S608 - no input
        f"FROM (SELECT n, {hashed} AS r FROM {numbers}) AS hashed"
    )


def _attempts(since: str) -> str:
    """Return the statement that makes the attempt of each request after a moment."""
    others = {
        "number": "1",
        "outcome": "CASE WHEN code = 'ok' THEN 'succeeded' ELSE 'upstream_failed' END",
        "prices": "1",
        "delivered": "code = 'ok'",
    }
    chosen = ", ".join(others.get(column.name, f'"{column.name}"') for column in attempts.columns)
    return (
        f"INSERT INTO attempts ({bulk.columns(attempts)}) SELECT {chosen} "  # noqa: S608 - no input
        f"FROM requests WHERE at > {since} ON CONFLICT DO NOTHING"
    )


def _usage(table: Table, step: int) -> str:
    bounds = (0.0, *FIRST_EVENT_BOUNDS_S, 1e9)
    buckets = [
        f"sum(CASE WHEN first_event_s > {least} AND first_event_s <= {most} THEN 1 ELSE 0 END)"
        for least, most in pairwise(bounds)
    ]
    tokens = ("input", "cached", "cache_write", "output", "reasoning", "cost_nusd", "seconds")
    start, caller, *others = _key(step)
    chosen = [
        *(caller, start, *others),
        "count(*)",
        "sum(CASE WHEN code = 'ok' THEN 0 ELSE 1 END)",
        "count(*)",
        *(f"sum({name})" for name in tokens),
        "count(first_event_s)",
        "coalesce(sum(first_event_s), 0)",
        *buckets,
    ]
    return _grouped(table, chosen, "FROM requests", 4)


def _totals(table: Table, usage: Table, dimension: str) -> str:
    sums = [f'sum("{column.name}")' for column in table.columns if not column.primary_key]
    chosen = [f"'{dimension}'", "start", dimension or "''", *sums]
    return _grouped(table, chosen, f"FROM {usage.name}", 3)


def _errors() -> str:
    start, *others = _key(HOUR_S)
    chosen = [start, "code", *others, "count(*)"]
    return _grouped(error_hours, chosen, "FROM requests WHERE code <> 'ok'", 5)


def _error_totals(dimension: str) -> str:
    chosen = [f"'{dimension}'", "start", dimension or "''", "code", "sum(requests)"]
    return _grouped(error_totals, chosen, "FROM error_hours", 4)


def _key(step: int) -> Sequence[str]:
    # The cast of Postgres rounds, so half a second is taken off before.
    return f"CAST(at - 0.5 AS BIGINT) / {step} * {step}", "caller_id", "account_id", "model"


def _grouped(table: Table, chosen: Sequence[str], source: str, keys: int) -> str:
    by = ", ".join(str(number) for number in range(1, keys + 1))
    start = 1 + [column.name for column in table.columns].index("start")
    # In the order of time, as a gateway would have written them.
    return (
        f"INSERT INTO {table.name} ({bulk.columns(table)}) SELECT {', '.join(chosen)} "
        f"{source} GROUP BY {by} ORDER BY {start}"
    )
