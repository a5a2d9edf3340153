"""Tests of app.store.backup."""

import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from app.errors import StateError
from app.settings import Settings
from app.store import backup
from app.store.backup import back_up
from app.store.copying import Progress
from app.store.store import Store
from tests.store.behind import execute
from tests.store.full import KEYS, SILENT, fill, opens, rows, with_keys


def found_in(path: Path, query: str) -> list[tuple[object, ...]]:
    """Return what a query finds in a SQLite file."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


async def test_a_backup_is_a_whole_private_file(settings: Settings, tmp_path: Path) -> None:
    """Of either kind of database; it works as one, and nothing lies beside it."""
    settings = with_keys(settings, *KEYS)
    await fill(settings)
    folder = tmp_path / "backups"
    folder.mkdir()
    steps: list[int] = []
    progress = Progress(steps.append, lambda done: steps.append(-done))
    async with Store.open(settings):
        await back_up(settings, folder / "saved.db", with_key=False, progress=progress)
    assert [each.name for each in folder.iterdir()] == ["saved.db"]
    assert (folder / "saved.db").stat().st_mode & 0o777 == 0o600
    assert steps[0] > 0
    assert sum(steps) == 0
    saved = Settings(database_path=folder / "saved.db", secret_keys=KEYS)
    assert await rows(saved) == await rows(settings)
    await opens(saved)


async def test_writes_meanwhile_are_not_in_it(
    sqlite_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the database as it was at one moment, and is done however much is written."""
    monkeypatch.setattr(backup, "PAGES", 1)
    await fill(sqlite_settings)
    path = sqlite_settings.sqlite_path

    def write(_steps: int) -> None:
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE revision SET value = value + 1000")

    async with Store.open(sqlite_settings) as store:
        before = await store.revision()
        progress = Progress(lambda _steps: None, write)
        await back_up(sqlite_settings, tmp_path / "saved.db", with_key=False, progress=progress)
        assert await store.revision() > before + 10_000
    assert found_in(tmp_path / "saved.db", "SELECT value FROM revision") == [(before,)]


async def test_a_tar_has_the_key_too(settings: Settings, tmp_path: Path) -> None:
    """In the form of a key file, all keys of the ring."""
    settings = with_keys(settings, *KEYS, "n" * 32)
    await fill(settings)
    await back_up(settings, tmp_path / "saved.tar", with_key=True, progress=SILENT)
    with tarfile.open(tmp_path / "saved.tar") as tar:
        assert tar.getnames() == ["codex2api.db", "secret.key"]
        assert {(each.mode, each.uname) for each in tar.getmembers()} == {(0o600, "")}
        assert tar.extractfile("secret.key").read().decode().split() == [*KEYS, "n" * 32]
    assert (tmp_path / "saved.tar").stat().st_mode & 0o777 == 0o600


async def test_a_tar_has_the_key_file(sqlite_settings: Settings, tmp_path: Path) -> None:
    """If that is where the key is."""
    await fill(sqlite_settings)
    await back_up(sqlite_settings, tmp_path / "saved.tar", with_key=True, progress=SILENT)
    with tarfile.open(tmp_path / "saved.tar") as tar:
        content = tar.extractfile("secret.key").read()
    assert content == sqlite_settings.key_file.read_bytes()


async def test_a_file_that_is_there_is_not_replaced(
    sqlite_settings: Settings, tmp_path: Path
) -> None:
    """A backup of yesterday is worth more than a command line of today."""
    (tmp_path / "saved.db").write_text("old")
    with pytest.raises(StateError, match="is there already"):
        await back_up(sqlite_settings, tmp_path / "saved.db", with_key=False, progress=SILENT)
    assert (tmp_path / "saved.db").read_text() == "old"


async def test_what_cannot_be_saved_leaves_nothing(
    new_sqlite_settings: Settings, tmp_path: Path
) -> None:
    """No database, no folder, another program's file: a sentence, and no file."""
    path = new_sqlite_settings.sqlite_path
    folder = tmp_path / "backups"
    folder.mkdir()
    with pytest.raises(StateError, match="There is no database at"):
        await back_up(new_sqlite_settings, folder / "x", with_key=False, progress=SILENT)
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE accounts (id)")
    with pytest.raises(StateError, match="holds no codex2api database"):
        await back_up(new_sqlite_settings, folder / "x", with_key=False, progress=SILENT)
    path.write_text("this is no database, but long enough to be taken for one" * 20)
    with pytest.raises(StateError, match="file is not a database"):
        await back_up(new_sqlite_settings, folder / "x", with_key=False, progress=SILENT)
    assert not list(folder.iterdir())
    with pytest.raises(StateError, match="No such file"):
        await back_up(new_sqlite_settings, folder / "no" / "x", with_key=False, progress=SILENT)


async def test_an_older_postgres_is_not_brought_up_to_date(
    postgres_settings: Settings, tmp_path: Path
) -> None:
    """A backup changes nothing, as it is made before an upgrade."""
    await fill(postgres_settings)
    await execute(postgres_settings, "UPDATE alembic_version SET version_num = '0001'")
    with pytest.raises(StateError, match="older than this version"):
        await back_up(postgres_settings, tmp_path / "x", with_key=False, progress=SILENT)
    assert await execute(postgres_settings, "SELECT version_num FROM alembic_version") == [
        ("0001",)
    ]
