"""What a gateway's database holds of calls, in rows as they are stored."""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import asyncpg
from msgspec import Struct

Row = Mapping[str, Any]
QUERIES: Final = {
    "requests": "SELECT * FROM requests",
    "attempts": "SELECT * FROM attempts",
    "totals": "SELECT * FROM hour_totals WHERE dimension = ''",
}


class Books(Struct, frozen=True):
    """What the gateway's database holds, in rows."""

    requests: Sequence[Row]
    attempts: Sequence[Row]
    totals: Sequence[Row]
    """The sums of all calls, by hours."""


def of_sqlite(file: Path) -> Books:
    """Read them from a gateway's SQLite file."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        return Books(**{
            name: [dict(row) for row in connection.execute(query)]
            for name, query in QUERIES.items()
        })  # fmt: skip


async def of_postgres(url: str) -> Books:
    """Read them from a gateway's Postgres database."""
    connection = await asyncpg.connect(url)
    try:
        return Books(**{
            name: [dict(row) for row in await connection.fetch(query)]
            for name, query in QUERIES.items()
        })  # fmt: skip
    finally:
        await connection.close()
