"""Tests of app.store.restoring."""

import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import pytest
from msgspec import structs

from app.domain.account import Secret
from app.errors import StateError
from app.settings import Settings
from app.store.backup import back_up
from app.store.restoring import Restored, restore
from app.store.schema import NewerSchema
from app.store.store import Store
from app.store.vault import WrongKey
from tests.store.full import KEYS, SILENT, fill, opens, rows, with_keys

AT = 1_800_000_000.0
SUFFIX = "before-20270115T080000Z"


async def saved(settings: Settings, file: Path, *, with_key: bool = False) -> Path:
    """Fill a database and save it."""
    await fill(settings)
    await back_up(settings, file, with_key=with_key, progress=SILENT)
    return file


async def restored(settings: Settings, file: Path, *, force: bool = False) -> Restored:
    """Put a backup back."""
    return await restore(settings, file, at=AT, force=force, progress=SILENT)


async def test_a_backup_is_put_back(sqlite_settings: Settings, tmp_path: Path) -> None:
    """What was there is kept beside it."""
    file = await saved(sqlite_settings, tmp_path / "saved.db")
    before = await rows(sqlite_settings)
    async with Store.open(sqlite_settings) as store:
        await store.keys.create(name="later", at=2.0)
    later = await rows(sqlite_settings)
    path = sqlite_settings.sqlite_path
    kept = path.with_name(f"{path.name}.{SUFFIX}")
    assert await restored(sqlite_settings, file) == Restored(str(path), (kept,))
    assert await rows(sqlite_settings) == before
    assert await rows(structs.replace(sqlite_settings, database_path=kept)) == later
    assert path.stat().st_mode & 0o777 == 0o600
    await opens(sqlite_settings)


async def test_a_tar_brings_its_key(sqlite_settings: Settings, tmp_path: Path) -> None:
    """To a machine that has none, and to one that has another, whose key file is kept."""
    file = await saved(sqlite_settings, tmp_path / "saved.tar", with_key=True)
    key = sqlite_settings.key_file.read_bytes()
    fresh = with_keys(sqlite_settings, folder=tmp_path / "fresh")
    assert (await restored(fresh, file)).key_restored
    assert (await restored(fresh, file)).kept[1:] == ()
    await opens(fresh)
    other = with_keys(sqlite_settings, folder=tmp_path / "other")
    async with Store.open(other):
        own = other.key_file.read_bytes()
    done = await restored(other, file)
    assert other.key_file.read_bytes() == key
    assert other.key_file.stat().st_mode & 0o777 == 0o600
    assert done.kept[1].read_bytes() == own
    await opens(other)


async def test_the_keys_of_the_environment_come_first(
    sqlite_settings: Settings, tmp_path: Path
) -> None:
    """They are what a gateway will open it with, so the tar's are of no use."""
    settings = with_keys(sqlite_settings, *KEYS)
    file = await saved(settings, tmp_path / "saved.tar", with_key=True)
    assert not (await restored(settings, file)).key_restored
    assert not settings.key_file.exists()
    with pytest.raises(WrongKey):
        await restored(with_keys(settings, "n" * 32), file)
    await opens(settings)


async def test_a_running_gateway_stops_it(sqlite_settings: Settings, tmp_path: Path) -> None:
    """It would go on with a file that is no longer there."""
    file = await saved(sqlite_settings, tmp_path / "saved.db")
    async with Store.open(sqlite_settings) as store:
        with pytest.raises(StateError, match="has this database open"):
            await restored(sqlite_settings, file)
        await store.keys.create(name="k", at=1.0, key=Secret("still-works"))


def names(folder: Path, pattern: str) -> set[str]:
    """Return what there is in a folder."""
    return {each.name for each in folder.glob(pattern)}


def damage(file: Path) -> None:
    """Overwrite a page in the middle."""
    with file.open("rb+") as opened:
        opened.seek(3 * 4096)
        opened.write(b"\xff" * 4096)


def cut_up(file: Path) -> None:
    """Leave no database at all."""
    file.write_text("x" * 100)


def without_database(file: Path) -> None:
    """Leave a tar of something else."""
    file.unlink()
    with tarfile.open(file, "w") as tar:
        tar.addfile(tarfile.TarInfo("other"))


def with_folder(file: Path) -> None:
    """Leave a tar whose database is a folder."""
    file.unlink()
    with tarfile.open(file, "w") as tar:
        member = tarfile.TarInfo("codex2api.db")
        member.type = tarfile.DIRTYPE
        tar.addfile(member)


def newer(file: Path) -> None:
    """Make it the work of a later version."""
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")


def foreign(file: Path) -> None:
    """Make it another program's."""
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("DROP TABLE sealed")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (Path.unlink, "No such file"),
        (cut_up, "is no backup"),
        (without_database, "is no backup"),
        (with_folder, "is no backup"),
        (damage, "damaged|malformed"),
        (newer, "newer codex2api"),
        (foreign, "holds no codex2api database"),
    ],
)
async def test_what_is_no_sound_backup_changes_nothing(
    sqlite_settings: Settings, tmp_path: Path, spoil, told: str
) -> None:
    """Each is told for what it is, and the database goes on as it was."""
    file = await saved(sqlite_settings, tmp_path / "saved.db")
    before = await rows(sqlite_settings)
    spoil(file)
    with pytest.raises(StateError, match=told):
        await restored(sqlite_settings, file)
    assert await rows(sqlite_settings) == before
    assert not names(sqlite_settings.data_dir, "*restoring*")
    assert not names(sqlite_settings.data_dir, "*before*")


async def test_a_wrong_key_is_told_before_anything_is_replaced(
    sqlite_settings: Settings, tmp_path: Path
) -> None:
    """A database that nothing opens is no improvement."""
    file = await saved(sqlite_settings, tmp_path / "saved.db")
    other = with_keys(sqlite_settings, folder=tmp_path / "other")
    async with Store.open(other):
        pass
    with pytest.raises(WrongKey, match="does not open this database"):
        await restored(other, file)
    async with Store.open(other) as store:
        assert await store.accounts.list() == []


async def test_a_damaged_database_can_be_replaced(
    sqlite_settings: Settings, tmp_path: Path
) -> None:
    """That is what backups are for; all its files are kept."""
    file = await saved(sqlite_settings, tmp_path / "saved.db")
    path = sqlite_settings.sqlite_path
    cut_up(path)
    done = await restored(sqlite_settings, file)
    assert [each.name for each in done.kept] == [f"{path.name}.{SUFFIX}"]
    await opens(sqlite_settings)


async def test_a_file_system_without_hard_links_gets_a_copy(
    sqlite_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old file is kept there as well."""

    def refuse(_path: Path, _target: Path) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    file = await saved(sqlite_settings, tmp_path / "saved.db")
    (kept,) = (await restored(sqlite_settings, file)).kept
    assert kept.read_bytes()[:15] == b"SQLite format 3"


async def test_a_backup_goes_into_postgres(
    sqlite_settings: Settings, postgres_settings: Settings, tmp_path: Path
) -> None:
    """An empty one takes it; one that holds something only by force; one in use never."""
    file = await saved(with_keys(sqlite_settings, *KEYS), tmp_path / "saved.db")
    settings = with_keys(postgres_settings, *KEYS)
    assert (await restored(settings, file)).database.endswith(settings.database_url[-8:])
    await opens(settings)
    with pytest.raises(StateError, match="--force"):
        await restored(settings, file)
    await restored(settings, file, force=True)
    async with Store.open(settings) as store:
        await store.revision()
        with pytest.raises(StateError, match="has this database open"):
            await restored(settings, file, force=True)
    assert names(tmp_path, "saved*") == {"saved.db"}


async def test_a_schema_of_tomorrow_is_refused_by_postgres_too(
    sqlite_settings: Settings, postgres_settings: Settings, tmp_path: Path
) -> None:
    """Before the target is touched."""
    file = await saved(with_keys(sqlite_settings, *KEYS), tmp_path / "saved.db")
    newer(file)
    with pytest.raises(NewerSchema):
        await restored(with_keys(postgres_settings, *KEYS), file)
