"""The connections to the database: many that read, one that writes.

SQLite takes one writer at a time. Here the writers of this process take turns on one connection
behind a lock, and a write begins with `BEGIN IMMEDIATE`, so that it waits for another process at
its start or not at all. Readers have their own connections and, as the file is in WAL mode, never
wait for a writer. A commit is synced to disk: a rotated refresh token that is lost is an account
that is lost. Every error of the driver leaves here as a `StateError` with its remedy.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from sqlalchemy import URL, event, update
from sqlalchemy.engine import Connection
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from app.errors import StateError
from app.store.tables import revision

READERS_MAX = 4


class Database:
    """One SQLite file. Call `close` at the end."""

    def __init__(self, path: Path, *, busy_timeout_s: float) -> None:
        self.path = path
        self._writer = _engine(path, busy_timeout_s=busy_timeout_s, connections=1, writes=True)
        self._readers = _engine(
            path, busy_timeout_s=busy_timeout_s, connections=READERS_MAX, writes=False
        )
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Open a snapshot of the rows as they were at its first statement.

        Raises:
            StateError: The database can't be read.
        """
        with translated(self.path):
            async with self._readers.connect() as connection:
                yield connection

    @asynccontextmanager
    async def write(self, *, announce: bool = True) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that is committed at the end of the block, or undone on an error.

        `announce` bumps the revision in the same transaction, for running gateways to notice.

        Raises:
            StateError: The database can't be written; nothing was.
        """
        with translated(self.path):
            async with self._turn, self._writer.begin() as connection:
                yield connection
                if announce:
                    await connection.execute(update(revision).values(value=revision.c.value + 1))

    async def close(self) -> None:
        """Close every connection; the last one folds the WAL into the file."""
        await self._readers.dispose()
        await self._writer.dispose()


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


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn the driver's errors into `StateError`, with what an operator can do."""
    try:
        yield
    except SQLAlchemyError as error:
        raise StateError(_explanation(path, str(getattr(error, "orig", None) or error))) from error


def _explanation(path: Path, reason: str) -> str:
    if "disk is full" in reason:
        return f"The disk that holds {path} is full: nothing can be saved until there is room."
    if "locked" in reason:
        return f"Another process holds the database {path} for writing; try again."
    if "readonly" in reason or "unable to open" in reason:
        return f"The database {path} can't be opened for writing ({reason})."
    if "malformed" in reason or "not a database" in reason:
        return f"The database {path} is damaged ({reason}): restore it from a backup."
    return f"The database {path} can't be used: {reason}."


def _engine(path: Path, *, busy_timeout_s: float, connections: int, writes: bool) -> AsyncEngine:
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
