"""Reads the tables of another product, from a SQLite file or a Postgres database.

Nothing is ever written there, not even a lock file; a SQLite file is opened read only. Only the
columns that a product's reader asks for are fetched, and those that its version does not have are
left out of the rows.
"""

import asyncio
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.errors import StateError
from app.foreign.values import Row
from app.settings import Driver, Settings
from app.store.postgres import PostgresDatabase, address

ROWS_MAX: Final = 200_000
BUSY_TIMEOUT_S: Final = 5.0

_VERSION_AT: Final = 18
"""Where SQLite's file format says how the file is written."""

Tables = Mapping[str, Sequence[Row]]

_COLUMNS: Final = text(
    "SELECT table_name, column_name FROM information_schema.columns "
    "WHERE table_schema = ANY (current_schemas(false))"
)


class Wanted(Struct, frozen=True):
    """A table of a product: the columns that make it that product's, and `more` that may be."""

    name: str
    columns: tuple[str, ...]
    more: tuple[str, ...] = ()
    optional: bool = False


class Product(Struct, frozen=True):
    """A product, and its tables that are of interest."""

    name: str
    tables: tuple[Wanted, ...]


async def read(where: Settings, product: Product) -> Tables:
    """Return the rows of a product's tables; one that is not there and need not be is empty.

    Raises:
        StateError: The database can't be read, or is not that product's.
    """
    if where.database_driver is Driver.SQLITE:
        return await asyncio.to_thread(_read_file, where.sqlite_path, product)
    database = PostgresDatabase(address(where))
    try:
        async with database.read() as connection:
            there: dict[str, set[str]] = {}
            for table, column in await connection.execute(_COLUMNS):
                there.setdefault(table, set()).add(column)
            chosen = _chosen(there, product, database.name)
            return {name: await _rows(connection, name, chosen[name]) for name in chosen}
    finally:
        await database.close()


def _read_file(path: Path, product: Product) -> Tables:
    if not path.is_file():
        raise StateError(f"There is no file {path}.")
    try:
        with closing(_opened(path)) as connection:
            connection.row_factory = sqlite3.Row
            found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            names = [str(row[0]) for row in found]
            there = {name: _columns(connection, name) for name in names}
            chosen = _chosen(there, product, str(path))
            return {
                name: _bounded(name, map(dict, connection.execute(_query(name, chosen[name]))))
                for name in chosen
            }
    except (sqlite3.Error, OSError) as error:
        raise StateError(f"{path} can't be read as a SQLite database: {error}.") from error


def _opened(path: Path) -> sqlite3.Connection:
    address = f"{path.resolve().as_uri()}?mode=ro"
    with path.open("rb") as file:
        in_wal_mode = file.read(_VERSION_AT + 1)[_VERSION_AT:] == b"\x02"
    if in_wal_mode and not path.with_name(f"{path.name}-wal").exists():
        # Nobody has it open. SQLite would make the two files of that mode and leave them there.
        address += "&immutable=1"
    return sqlite3.connect(address, uri=True, timeout=BUSY_TIMEOUT_S)


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    return {
        str(row[0]) for row in connection.execute("SELECT name FROM pragma_table_info(?)", (table,))
    }


def _chosen(
    there: Mapping[str, set[str]], product: Product, name: str
) -> dict[str, tuple[str, ...]]:
    """Return the columns to be read of each table."""
    chosen: dict[str, tuple[str, ...]] = {}
    for wanted in product.tables:
        columns = there.get(wanted.name, set())
        missing = [column for column in wanted.columns if column not in columns]
        if not missing:
            more = tuple(column for column in wanted.more if column in columns)
            chosen[wanted.name] = (*wanted.columns, *more)
        elif not wanted.optional:
            what = f"column {missing[0]} in {wanted.name}" if columns else f"table {wanted.name}"
            raise StateError(f"{name} is no database of {product.name}: it has no {what}.")
    return chosen


async def _rows(connection: AsyncConnection, table: str, columns: tuple[str, ...]) -> list[Row]:
    found = await connection.exec_driver_sql(_query(table, columns))
    return _bounded(table, [dict(row) for row in found.mappings()])


def _query(table: str, columns: tuple[str, ...]) -> str:
    listed = ", ".join(f'"{column}"' for column in columns)
    # Names are constants of the products' readers.
    return f'SELECT {listed} FROM "{table}" ORDER BY 1 LIMIT {ROWS_MAX + 1}'  # noqa: S608


def _bounded(table: str, rows: Any) -> list[Row]:
    found = list(rows)
    if len(found) > ROWS_MAX:
        raise StateError(
            f"The table {table} has more than {ROWS_MAX} rows; at most so many are read."
        )
    return found
