"""SQLite: one file, many that read, one that writes.

The writers of this process take turns on one connection behind a lock, and a write begins with
`BEGIN IMMEDIATE`, so that it waits for another process at its start or not at all. Readers have
their own connections and, as the file is in WAL mode, never wait for a writer. A commit is synced
to disk: a rotated refresh token that is lost is an account that is lost.
"""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import URL, Table, event
from sqlalchemy.engine import Connection
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from app.errors import StateError
from app.store import bulk
from app.store.engine import Database, driver_error
from app.store.lock import exclusive

READERS_MAX = 4
CACHE_KIB = 8_192
"""Pages that each connection keeps; a report of 30 days reads about as many."""


class SqliteDatabase(Database):
    """One SQLite file."""

    def __init__(self, path: Path, *, busy_timeout_s: float) -> None:
        super().__init__(
            readers=_engine(path, busy_timeout_s, connections=READERS_MAX, writes=False),
            writer=_engine(path, busy_timeout_s, connections=1, writes=True),
        )
        self.path = path
        self._turn = asyncio.Lock()

    @property
    def name(self) -> str:
        """The file's path."""
        return str(self.path)

    def explain(self, error: Exception) -> str:
        """Return what is wrong and what an operator can do, in whole sentences."""
        reason, path = str(error), self.path
        if "disk is full" in reason:
            return f"The disk that holds {path} is full: nothing can be saved until there is room."
        if "locked" in reason:
            return f"Another process holds the database {path} for writing; try again."
        if "readonly" in reason or "unable to open" in reason:
            return f"The database {path} can't be opened for writing ({reason})."
        if "malformed" in reason or "not a database" in reason:
            return f"The database {path} is damaged ({reason}): restore it from a backup."
        return f"The database {path} can't be used: {reason}."

    def refuses(self, error: Exception) -> bool:
        """Tell whether an error says that a row is at fault, not the database."""
        # The last two come from the driver itself, before SQLite sees the value.
        kinds = (sqlite3.IntegrityError, sqlite3.DataError, OverflowError, UnicodeError)
        return isinstance(driver_error(error), kinds)

    async def insert_new(
        self, connection: AsyncConnection, table: Table, rows: Sequence[tuple[Any, ...]]
    ) -> set[tuple[Any, ...]]:
        """Insert the rows whose keys are not there yet, and return those keys."""
        names = [column.name for column in table.columns]
        places = [names.index(column.name) for column in table.primary_key]
        wanted = {tuple(row[place] for place in places): row for row in rows}
        # SQLite does not say which rows of many it inserted; nobody else writes meanwhile.
        known = await connection.exec_driver_sql(
            f"SELECT {bulk.key(table)} FROM {table.name} "  # noqa: S608 - names of our own tables
            f"WHERE {names[places[0]]} IN (SELECT value FROM json_each(?))",
            (msgspec.json.encode([found[0] for found in wanted]).decode(),),
        )
        for found in known:
            wanted.pop(tuple(found), None)
        if wanted:
            await connection.exec_driver_sql(_insert(table), list(wanted.values()))
        return set(wanted)

    async def add(
        self, connection: AsyncConnection, table: Table, rows: Sequence[tuple[Any, ...]]
    ) -> None:
        """Insert rows of numbers, or add them to the rows that have their keys."""
        if rows:
            await connection.exec_driver_sql(f"{_insert(table)} {bulk.adding(table)}", list(rows))

    @asynccontextmanager
    async def prepare(self, *, timeout_s: float) -> AsyncIterator[AsyncConnection]:
        """Open the one transaction in which a start makes or migrates the tables."""
        create_file(self.path)
        lock = self.path.with_name(f"{self.path.name}.lock")
        async with exclusive(lock, timeout_s=timeout_s), self.write(announce=False) as connection:
            yield connection

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[AsyncConnection]:
        async with self._turn, self._writer.begin() as connection:
            yield connection

    @asynccontextmanager
    async def append(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction like any other: there is only one writer at a time."""
        async with self.write(announce=False) as connection:
            yield connection


def create_file(path: Path) -> None:
    """Make the database file if it is missing: for its owner alone, in a folder likewise.

    SQLite gives the WAL the file's own mode, so this also keeps that one private.

    Raises:
        StateError: The file can't be made or opened for writing.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StateError(
            f"The database {path} can't be opened: {error.strerror}. Make its folder writable, or "
            "name another with CODEX_DATA_DIR or DATABASE_PATH."
        ) from error
    os.close(descriptor)


def _insert(table: Table) -> str:
    marks = ", ".join("?" * len(table.columns))
    return f"INSERT INTO {table.name} ({bulk.columns(table)}) VALUES ({marks})"  # noqa: S608 - names of our own tables


def _engine(path: Path, busy_timeout_s: float, *, connections: int, writes: bool) -> AsyncEngine:
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=str(path)),
        pool_size=connections,
        max_overflow=0,
        pool_timeout=busy_timeout_s,
    )
    pragmas = (
        f"PRAGMA busy_timeout = {round(busy_timeout_s * 1000)}",
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        "PRAGMA foreign_keys = ON",
        f"PRAGMA query_only = {'OFF' if writes else 'ON'}",
        f"PRAGMA cache_size = -{CACHE_KIB}",
    )

    def connected(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        # Without this the driver begins transactions itself, late and deferred.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(pragma)
        cursor.close()

    def begun(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    event.listen(engine.sync_engine, "connect", connected)
    event.listen(engine.sync_engine, "begin", begun)
    return engine
