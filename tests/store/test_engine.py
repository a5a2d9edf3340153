"""Tests of app.store.engine."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from app.errors import StateError
from app.settings import Settings
from app.store.engine import Database, create_file, translated
from app.store.store import Store

OTHER_WRITER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
connection.execute("UPDATE revision SET value = 1000")
print("holding", flush=True)
sys.stdin.readline()
connection.execute("COMMIT")
"""


@pytest.fixture
def other_writer(settings: Settings):
    """Return a way to start another process that holds the write lock until told."""
    started = []

    def start() -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-c", OTHER_WRITER, str(settings.sqlite_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        started.append(process)
        process.stdout.readline()
        return process

    yield start
    for process in started:
        if process.returncode is None:
            process.communicate(b"\n")


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    """The folder is 0700 and the file 0600, whatever the umask was going to allow."""
    path = tmp_path / "new" / "x.db"
    create_file(path)
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_folder_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    """The message names the settings that choose another place."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="CODEX_DATA_DIR"):
        create_file(tmp_path / "file" / "x.db")


async def test_commits_are_synced_and_the_log_is_written_ahead(store: Store) -> None:
    """The promises in the module's docstring are the connection's real settings."""
    async with store._database.write() as connection:
        found = [
            (await connection.execute(text(f"PRAGMA {name}"))).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        ]
    assert found == ["wal", 2, 1, 200]


async def test_the_side_files_are_private_too(store: Store, settings: Settings) -> None:
    """The WAL holds the newest rows, so it is as private as the database."""
    await store.keys.create(name="k", at=1.0)
    modes = {path.name: path.stat().st_mode & 0o077 for path in settings.data_dir.iterdir()}
    assert {"codex2api.db", "codex2api.db-wal", "secret.key"} <= modes.keys()
    assert set(modes.values()) == {0}


async def test_a_reader_cannot_write(store: Store) -> None:
    """A write that forgot its turn fails at once, in any test."""
    with pytest.raises(StateError, match="opened for writing"):
        async with store._database.read() as connection:
            await connection.execute(text("DELETE FROM keys"))


async def test_an_error_undoes_the_whole_write(store: Store) -> None:
    """Half a write is never seen, and neither is its revision."""
    before = await store.revision()

    async def break_off() -> None:
        async with store._database.write() as connection:
            await connection.execute(text("UPDATE revision SET value = value + 10"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await break_off()
    assert await store.revision() == before


async def test_a_reader_does_not_wait_for_another_process(store: Store, other_writer) -> None:
    """While another process holds the write lock, readers see the rows as they were."""
    before = await store.revision()
    other_writer()
    assert await store.revision() == before


async def test_a_writer_waits_for_another_process_and_then_says_so(
    store: Store, other_writer
) -> None:
    """After the busy timeout the error names the cause; once it is free, writing works."""
    process = other_writer()
    with pytest.raises(StateError, match="Another process"):
        await store.keys.create(name="k", at=1.0)
    process.communicate(b"\n")
    await store.keys.create(name="k", at=1.0)
    assert await store.revision() == 1001


async def test_a_full_disk_is_explained_and_reading_goes_on(store: Store) -> None:
    """SQLite's page limit gives the same error as a full disk; nothing is half written."""
    await store.keys.create(name="first", at=1.0)
    async with store._database.write() as connection:
        pages = (await connection.execute(text("PRAGMA page_count"))).scalar()
        await connection.execute(text(f"PRAGMA max_page_count = {pages}"))
    with pytest.raises(StateError, match="full"):
        await store.keys.create(name="n" * 100_000, at=2.0)
    assert [key.caller.name for key in await store.keys.list()] == ["first"]


async def test_a_file_that_is_no_database_is_explained(tmp_path: Path) -> None:
    """The remedy is a backup, not a stack of driver errors."""
    path = tmp_path / "x.db"
    path.write_bytes(b"this is no database at all" * 100)
    database = Database(path, busy_timeout_s=0.1)
    with pytest.raises(StateError, match="restore it from a backup"):
        async with database.read() as connection:
            await connection.execute(text("SELECT * FROM keys"))
    await database.close()


async def test_any_other_error_of_the_driver_is_translated(store: Store) -> None:
    """No exception of a library crosses the store's border."""
    with pytest.raises(StateError, match="no such table"):
        async with store._database.read() as connection:
            await connection.execute(text("SELECT * FROM unknown_table"))


def test_what_is_no_error_of_the_driver_passes(tmp_path: Path) -> None:
    """Only the driver's own errors are translated."""
    with pytest.raises(sqlite3.Error), translated(tmp_path):
        raise sqlite3.OperationalError
