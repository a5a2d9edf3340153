"""Puts a backup in the place of a database.

Nothing is put in place before it has been checked: its pages, its schema, and whether our key opens
it. Nobody may have the database open meanwhile, and nobody can start, as the lock of a start is
held. What lay there before stays beside the new files. The journal is left alone: calls that it
holds are added to the restored rows.
"""

import asyncio
import shutil
import sqlite3
import tarfile
from contextlib import closing
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Final

from msgspec import Struct

from app.errors import StateError
from app.settings import Driver, Settings
from app.store.backup import DATABASE_MEMBER, KEY_MEMBER
from app.store.copying import Progress, copy
from app.store.files import BESIDE, close_up, fill, remove, require_ours, sqlite_told, sync, told
from app.store.lock import exclusive
from app.store.occupancy import occupied
from app.store.schema import current
from app.store.sqlite import SqliteDatabase
from app.store.store import database_of
from app.store.vault import prove

KEY_BYTES_MAX: Final = 65_536

_SQLITE_HEAD: Final = b"SQLite format 3\0"


class Restored(Struct, frozen=True):
    """What was put back; `kept` are the files that lay there before, under their new names."""

    database: str
    kept: tuple[Path, ...] = ()
    key_restored: bool = False


async def restore(
    settings: Settings, file: Path, *, at: float, force: bool, progress: Progress
) -> Restored:
    """Put the backup `file` in the place of the database of the settings.

    Files that lie there are kept under names that end with the time `at`. A Postgres database that
    holds something is emptied, but only with `force`; `progress` hears of that way alone.

    Raises:
        StateError: The database is in use; or `file` is no sound backup, of a newer version, or
            sealed with another key. Nothing was changed then.
    """
    if settings.database_driver is Driver.POSTGRES:
        return await _restore_postgres(settings, file, force=force, progress=progress)
    path = settings.sqlite_path
    with told(path.parent):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = path.with_name(f"{path.name}.lock")
    async with exclusive(lock, timeout_s=settings.limits.store_lock_timeout_s):
        await _refuse_if_occupied(settings)
        staged = path.with_name(f"{path.name}.restoring")
        try:
            key = await asyncio.to_thread(_stage, file, staged)
            own = await _check(settings, staged, key, file)
            with told(path):
                kept = _put_in_place(settings, staged, own, at=at)
        finally:
            remove(staged)
    return Restored(str(path), kept, key_restored=own is not None)


async def _restore_postgres(
    settings: Settings, file: Path, *, force: bool, progress: Progress
) -> Restored:
    await _refuse_if_occupied(settings)
    staged = file.with_name(f"{file.name}.restoring")
    target = database_of(settings)
    source = SqliteDatabase(staged, busy_timeout_s=settings.limits.store_busy_timeout_s)
    try:
        key = await asyncio.to_thread(_stage, file, staged)
        await _check(settings, staged, key, file)
        timeout_s = settings.limits.store_lock_timeout_s
        await copy(source, target, force=force, timeout_s=timeout_s, progress=progress)
    finally:
        await source.close()
        await target.close()
        remove(staged, ends=(*BESIDE, ".lock"))
    return Restored(target.name)


async def _refuse_if_occupied(settings: Settings) -> None:
    if await occupied(settings):
        raise StateError(
            "A gateway, or another program, has this database open: stop it first. Nothing was "
            "changed."
        )


def _stage(file: Path, staged: Path) -> bytes | None:
    """Copy the database of a backup to `staged`; return the keys that came with it, if any."""
    with told(file), file.open("rb") as source:
        head = source.read(len(_SQLITE_HEAD))
        source.seek(0)
        if head == _SQLITE_HEAD:
            fill(staged, source)
            return None
        try:
            with tarfile.open(fileobj=source, mode="r:") as tar:
                return _unpack(tar, staged)
        except (tarfile.TarError, KeyError):
            raise StateError(
                f"{file} is no backup: neither a SQLite database nor a tar with {DATABASE_MEMBER}."
            ) from None


def _unpack(tar: tarfile.TarFile, staged: Path) -> bytes | None:
    found = tar.extractfile(DATABASE_MEMBER)
    if found is None:
        raise KeyError(DATABASE_MEMBER)
    fill(staged, found)
    if KEY_MEMBER not in tar.getnames():
        return None
    key = tar.extractfile(KEY_MEMBER)
    return key.read(KEY_BYTES_MAX) if key else None


async def _check(settings: Settings, staged: Path, key: bytes | None, file: Path) -> bytes | None:
    """Refuse what could not be served from; return the keys to be put in place, if any."""
    await asyncio.to_thread(_check_pages, staged, file)
    own = None if settings.secret_keys else key
    keys = tuple(own.decode("ascii", "replace").split()) if own else settings.secret_keys
    database = SqliteDatabase(staged, busy_timeout_s=settings.limits.store_busy_timeout_s)
    try:
        async with database.read() as connection:
            await connection.run_sync(current)
            await prove(connection, keys=keys, key_file=settings.key_file)
    finally:
        await database.close()
    await asyncio.to_thread(close_up, staged)
    return own


def _check_pages(path: Path, file: Path) -> None:
    with sqlite_told(file), closing(sqlite3.connect(path, isolation_level=None)) as connection:
        found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if found != "ok":
            raise StateError(f"The backup {file} is damaged ({found}). Nothing was changed.")
        require_ours(connection, file)


def _put_in_place(
    settings: Settings, staged: Path, own: bytes | None, *, at: float
) -> tuple[Path, ...]:
    path = settings.sqlite_path
    suffix = f".before-{datetime.fromtimestamp(at, UTC):%Y%m%dT%H%M%SZ}"
    kept = [_kept(path, end, suffix) for end in BESIDE]
    if own is not None and _differs(settings.key_file, own):
        kept.append(_kept(settings.key_file, "", suffix))
        fill(settings.key_file, BytesIO(own))
    for end in BESIDE[1:]:  # only a database that SQLite can't read still has them
        path.with_name(path.name + end).unlink(missing_ok=True)
    sync(staged)
    staged.replace(path)
    sync(path.parent)
    return tuple(name for name in kept if name)


def _kept(path: Path, end: str, suffix: str) -> Path | None:
    """Give a file a second name, so that at no moment there is none under its own; return it."""
    old = path.with_name(path.name + end)
    new = path.with_name(path.name + suffix + end)
    if not old.exists():
        return None
    try:
        new.hardlink_to(old)
    except OSError:  # not every file system has hard links
        shutil.copy2(old, new)
    return new


def _differs(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() != content
    except FileNotFoundError:
        return True
