"""Tests of app.store.sqlite: what is about the file itself."""

import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text

from app.errors import StateError
from app.settings import Settings
from app.store.sqlite import SqliteDatabase, create_file
from app.store.store import Store, database_name

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
def settings(sqlite_settings: Settings) -> Settings:
    """Only this kind of database."""
    return sqlite_settings


@pytest.fixture
async def store(settings: Settings) -> AsyncIterator[Store]:
    """An open store on it."""
    async with Store.open(settings) as store:
        yield store


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


async def test_the_files_hold_no_secret_and_are_private(store: Store, settings: Settings) -> None:
    """The WAL holds the newest rows, so it is as private as the database."""
    made = await store.keys.create(name="k", at=1.0)
    files = {path.name: path for path in settings.data_dir.iterdir()}
    assert {"codex2api.db", "codex2api.db-wal", "secret.key"} <= files.keys()
    assert {path.stat().st_mode & 0o077 for path in files.values()} == {0}
    secret = made.key.reveal().split("-", 3)[-1].encode()
    assert not any(secret in path.read_bytes() for path in files.values())


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
    database = SqliteDatabase(path, busy_timeout_s=0.1)
    with pytest.raises(StateError, match="restore it from a backup"):
        async with database.read() as connection:
            await connection.execute(text("SELECT * FROM keys"))
    await database.close()


async def test_a_reader_cannot_write_and_is_told_so(store: Store) -> None:
    """Its connections are opened for reading only."""
    with pytest.raises(StateError, match="opened for writing"):
        async with store._database.read() as connection:
            await connection.execute(text("DELETE FROM keys"))


async def test_people_know_it_by_its_path(store: Store, settings: Settings) -> None:
    """As the settings do."""
    assert store._database.name == str(settings.sqlite_path) == database_name(settings)
