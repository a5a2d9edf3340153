"""Tests of loadtests.db_fill: a bench on rows that could not be would say nothing."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import select

from app.settings import Driver, Settings
from app.store.rollups import rollups
from app.store.store import database_of, upgrade_schema
from app.store.tables import attempts, requests
from app.store.usage_rows import (
    attempt_flaw,
    attempt_of,
    attempt_values,
    request_flaw,
    request_of,
    request_values,
)
from loadtests.db_fill import Filling, fill_postgres, fill_sqlite

ROWS = 1_000


async def check(settings: Settings) -> None:
    """Compare every row and every sum with what the ledger would have made of the calls."""
    database = database_of(settings)
    async with database.read() as connection:
        tried = [attempt_of(row) for row in await connection.execute(select(attempts))]
        asked = [request_of(row) for row in await connection.execute(select(requests))]
        assert len(tried) == len(asked) == ROWS
        assert not any(attempt_flaw(attempt_values(row)) for row in tried)
        assert not any(request_flaw(request_values(row)) for row in asked)
        for table, expected in rollups(tried, asked).items():
            found = [tuple(row) for row in await connection.execute(select(table))]
            assert len(found) == len(expected)
            for row, wanted in zip(sorted(found), expected, strict=True):
                assert row == pytest.approx(wanted)
    await database.close()


def test_a_filled_file_holds_what_the_ledger_would_have_written(tmp_path: Path) -> None:
    """Rows, sums and totals fit each other, to the last bucket."""
    settings = Settings(data_dir=tmp_path)
    asyncio.run(upgrade_schema(settings))
    asyncio.run(fill_sqlite(settings.sqlite_path, Filling(ROWS)))
    asyncio.run(check(settings))


def test_a_filled_postgres_holds_what_the_ledger_would_have_written(
    postgres_url: str, tmp_path: Path
) -> None:
    """The same on the other database."""
    settings = Settings(
        database_driver=Driver.POSTGRES, database_url=postgres_url, data_dir=tmp_path
    )
    asyncio.run(upgrade_schema(settings))
    asyncio.run(fill_postgres(postgres_url, Filling(ROWS)))
    asyncio.run(check(settings))
