"""Tests of app.store.occupancy."""

import subprocess
import sys
from pathlib import Path

from app.settings import Settings
from app.store.occupancy import occupied
from app.store.store import Store

HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("PRAGMA journal_mode = WAL")
connection.execute("SELECT count(*) FROM revision").fetchone()
print("holding", flush=True)
sys.stdin.readline()
"""


def held(path: Path) -> subprocess.Popen[bytes]:
    """Let another process open a file, until it is spoken to."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    holder.stdout.readline()
    return holder


async def test_an_open_store_occupies_its_database(settings: Settings) -> None:
    """As long as it is open, and no longer."""
    assert not await occupied(settings)
    async with Store.open(settings) as store:
        await store.revision()
        assert await occupied(settings)
    assert not await occupied(settings)


async def test_a_database_that_is_not_there_is_not_in_use(new_sqlite_settings: Settings) -> None:
    """And is not made by the question."""
    assert not await occupied(new_sqlite_settings)
    assert not new_sqlite_settings.sqlite_path.exists()


async def test_a_damaged_file_may_be_in_use(sqlite_settings: Settings) -> None:
    """SQLite does not read it any more, but whoever opened it before still holds it."""
    path = sqlite_settings.sqlite_path
    holder = held(path)
    with path.open("rb+") as file:
        file.write(b"this is no database")
    assert await occupied(sqlite_settings)
    holder.communicate(b"\n")
    assert not await occupied(sqlite_settings)
