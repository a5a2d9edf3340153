"""Files that hold a database: made for their owner alone, synced, whole by themselves.

What the system or SQLite says of them becomes a `StateError` that names the file. What is in the
tables is of no interest here, except whether they are ours.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from app.errors import StateError

BESIDE: Final = ("", "-wal", "-shm")
"""A SQLite database is up to three files; the ends of their names."""

_OURS: Final = frozenset({"revision", "sealed", "alembic_version"})


def new_file(path: Path) -> None:
    """Make an empty file for its owner alone, in the place of whatever lay there.

    Raises:
        OSError: It can't be made.
    """
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def fill(path: Path, source: IO[bytes]) -> None:
    """Write what `source` holds to a new file, and see it on the disk.

    Raises:
        OSError: It can't be written.
    """
    new_file(path)
    with path.open("wb") as file:
        shutil.copyfileobj(source, file)
    sync(path)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk.

    Raises:
        OSError: It can't be opened.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with suppress(OSError):  # not every file system has this for folders
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path, *, ends: tuple[str, ...] = BESIDE) -> None:
    """Remove a database with all that lies beside it; what is not there is no fault."""
    for end in ends:
        path.with_name(path.name + end).unlink(missing_ok=True)


def close_up(path: Path) -> None:
    """Make a SQLite file whole by itself, without a write-ahead log.

    Raises:
        StateError: It can't be used, or somebody has it open.
    """
    with sqlite_told(path), closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")


def require_ours(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a SQLite database that is not one of ours.

    Raises:
        StateError: It is not.
    """
    names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    if not names >= _OURS:
        raise StateError(f"{path} holds no codex2api database.")


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn what the system says of a file into `StateError`."""
    try:
        yield
    except OSError as error:
        raise StateError(f"{path} can't be used: {error.strerror or error}.") from error


@contextmanager
def sqlite_told(path: Path) -> Iterator[None]:
    """Turn what SQLite says of a file into `StateError`."""
    try:
        yield
    except sqlite3.Error as error:
        raise StateError(f"The database {path} can't be used: {error}.") from error
