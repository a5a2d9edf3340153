"""Tells whether somebody has a database open, for what must not be done beneath a running gateway.

Nobody signs a list for that: SQLite's own locks say it, and Postgres' list of sessions, so whoever
was killed is not counted. A process that starts right after the question is not seen; on SQLite
hold the start's lock meanwhile.
"""

import asyncio
import fcntl
import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from sqlalchemy import text

from app.settings import Driver, Settings
from app.store.postgres import APPLICATION, PostgresDatabase, address

_OTHER_SESSIONS: Final = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
    "AND application_name LIKE :name AND pid <> pg_backend_pid()"
)
# Where SQLite's file format puts the bytes that every open connection locks.
_SHARED_FIRST: Final = 0x4000_0002
_SHARED_SIZE: Final = 510
_AT_ONCE: Final = fcntl.LOCK_EX | fcntl.LOCK_NB


async def occupied(settings: Settings) -> bool:
    """Tell whether a process has the database of the settings open.

    A SQLite file that nobody has open is afterwards one whole file, without a write-ahead log.

    Raises:
        StateError: The database can't be asked.
    """
    if settings.database_driver is Driver.SQLITE:
        return await asyncio.to_thread(_file_is_open, settings.sqlite_path)
    database = PostgresDatabase(address(settings))
    try:
        async with database.read() as connection:
            found = await connection.execute(_OTHER_SESSIONS, {"name": APPLICATION + "%"})
            return bool(found.scalar())
    finally:
        await database.close()


def _file_is_open(path: Path) -> bool:
    if not path.exists():
        return False
    try:
        with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
            # Only the last connection may leave the write-ahead mode.
            connection.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            return True
    except sqlite3.DatabaseError:
        pass
    else:
        return False
    return _bytes_are_locked(path)


def _bytes_are_locked(path: Path) -> bool:
    """Tell the same of a file that SQLite itself can't read any more."""
    with suppress(PermissionError), path.open("rb+") as file:
        try:
            fcntl.lockf(file, _AT_ONCE, _SHARED_SIZE, _SHARED_FIRST, os.SEEK_SET)
        except BlockingIOError:
            return True
    return False
