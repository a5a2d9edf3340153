"""One file that holds a whole database.

Of SQLite it is a copy of the file as it was at one moment, taken page by page while gateways go on
working; of Postgres it is a SQLite file that the copier fills, so a backup of either can be put
back into either (`app.store.restoring`). Secrets in it stay sealed, and without their key it opens
nothing: a tar holds both.
"""

import asyncio
import sqlite3
import tarfile
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Final

from app.errors import StateError
from app.settings import Driver, Settings
from app.store.copying import Progress, copy, require_current
from app.store.files import (
    BESIDE,
    close_up,
    new_file,
    remove,
    require_ours,
    sqlite_told,
    sync,
    told,
)
from app.store.sqlite import SqliteDatabase
from app.store.store import database_of

DATABASE_MEMBER: Final = "codex2api.db"
KEY_MEMBER: Final = "secret.key"
"""The names in a tar."""
PAGES: Final = 2_560
"""Pages copied at a time, 10 MiB."""

_TAR: Final = "-tar"


async def back_up(settings: Settings, file: Path, *, with_key: bool, progress: Progress) -> None:
    """Write the database of the settings to a new `file` for its owner alone.

    With `with_key` it is a tar of the database and of the keys that open it. While it is made it
    is called `file`.unfinished, and what a killed backup left under that name is replaced.

    Raises:
        StateError: `file` is there, the database can't be read, or there is no room.
    """
    _refuse_existing(file)
    unfinished = file.with_name(f"{file.name}.unfinished")
    with told(file):
        new_file(unfinished)
    try:
        await _write(settings, unfinished, progress)
        with told(file):
            if with_key:
                await asyncio.to_thread(_pack, unfinished, _keys(settings))
            sync(unfinished)
            unfinished.rename(file)
            sync(file.parent)
    finally:
        remove(unfinished, ends=(*BESIDE, ".lock", _TAR))


def _refuse_existing(file: Path) -> None:
    if file.exists():
        raise StateError(f"{file} is there already; name a new file.")


async def _write(settings: Settings, target: Path, progress: Progress) -> None:
    if settings.database_driver is Driver.SQLITE:
        await asyncio.to_thread(_copy_pages, settings.sqlite_path, target, progress)
        return
    source = database_of(settings)
    made = SqliteDatabase(target, busy_timeout_s=settings.limits.store_busy_timeout_s)
    try:
        await require_current(source)
        timeout_s = settings.limits.store_lock_timeout_s
        await copy(source, made, force=False, timeout_s=timeout_s, progress=progress)
    finally:
        await source.close()
        await made.close()
    await asyncio.to_thread(close_up, target)


def _copy_pages(path: Path, target: Path, progress: Progress) -> None:
    if not path.exists():
        raise StateError(f"There is no database at {path}.")
    seen = -1

    def tell(_status: int, remaining: int, total: int) -> None:
        nonlocal seen
        if seen < 0:
            progress.total(total)
            seen = 0
        progress.done(total - remaining - seen)
        seen = total - remaining

    with (
        sqlite_told(path),
        closing(sqlite3.connect(path, isolation_level=None)) as source,
        closing(sqlite3.connect(target, isolation_level=None)) as copied,
    ):
        # One snapshot for all pages: otherwise every write of a gateway would start it anew.
        source.execute("BEGIN")
        require_ours(source, path)
        source.backup(copied, pages=PAGES, progress=tell)
    close_up(target)


def _keys(settings: Settings) -> bytes:
    """Return the keys as a key file holds them."""
    if settings.secret_keys:
        return "".join(f"{key}\n" for key in settings.secret_keys).encode()
    with told(settings.key_file):
        return settings.key_file.read_bytes()


def _pack(unfinished: Path, keys: bytes) -> None:
    """Turn a database file into a tar of it and its keys."""
    packed = unfinished.with_name(unfinished.name + _TAR)
    new_file(packed)
    with tarfile.open(packed, "w") as tar:
        tar.add(unfinished, DATABASE_MEMBER, filter=_private)
        member = _private(tarfile.TarInfo(KEY_MEMBER))
        member.size = len(keys)
        tar.addfile(member, BytesIO(keys))
    packed.replace(unfinished)


def _private(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Return a member that says nothing of this machine, for its owner alone once unpacked."""
    member.mode = 0o600
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member
