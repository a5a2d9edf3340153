"""Which keys open this database: found, proved and, on the very first start, made.

The keyring comes from `CODEX_SECRET_KEY`, or else from the key file beside the database. A new key
is made in one case only: neither is there and the database holds nothing sealed. The sentinel, a
sealed row with a known text, proves the keyring before anything else is read with it. The peppers,
under which callers' keys are stored, are random values of our own that lie sealed in the database,
so that changing the keyring's keys never invalidates a caller's key.
"""

import os
import secrets
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from msgspec import Struct
from sqlalchemy import exists, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.account import Secret
from app.environment import printable
from app.errors import StateError
from app.store.keyring import Keyring, Place, SealBroken
from app.store.tables import accounts, credentials, sealed

_SENTINEL = "sentinel"
_SENTINEL_TEXT = Secret("codex2api")
_PEPPER = "pepper-"


class WrongKey(StateError):
    """The keyring is missing, unreadable, or not the one that sealed this database."""


class Vault(Struct, frozen=True):
    """What opens secrets, and what callers' keys are hashed under, by version."""

    keyring: Keyring
    peppers: dict[int, bytes]

    @property
    def pepper_version(self) -> int:
        """The version that new keys are hashed under."""
        return max(self.peppers)

    @property
    def installation(self) -> str:
        """Name the installation: the same in every copy and backup of its database."""
        return sha256(b"codex2api installation" + self.peppers[min(self.peppers)]).hexdigest()[:32]


async def open_vault(
    connection: AsyncConnection, *, keys: tuple[str, ...], key_file: Path
) -> Vault:
    """Return the vault of the database, in a write transaction that no other start can share.

    Raises:
        WrongKey: There is no key, or it does not open this database.
    """
    keyring = await prove(connection, keys=keys, key_file=key_file)
    if keyring is None:
        keyring = Keyring(keys or _key_file_content(key_file) or _new_key_file(key_file))
        await _seal(connection, keyring, _SENTINEL, _SENTINEL_TEXT)
        await _seal(connection, keyring, f"{_PEPPER}1", Secret(secrets.token_hex(32)))
    return Vault(keyring, await _peppers(connection, keyring))


async def prove(
    connection: AsyncConnection, *, keys: tuple[str, ...], key_file: Path
) -> Keyring | None:
    """Return the keyring that opens the database, or None if nothing was ever sealed in it.

    Raises:
        WrongKey: There is no key, or it does not open this database.
    """
    record = await _record(connection, _SENTINEL)
    if record is not None:
        return _proved(record, keys or _key_file_content(key_file), key_file)
    if await _holds_secrets(connection):
        raise WrongKey(
            "The database holds secrets, but the row that proves their key is gone: it was "
            "damaged or edited. Restore it from a backup."
        )
    return None


def _proved(record: bytes, keys: tuple[str, ...], key_file: Path) -> Keyring:
    if not keys:
        raise WrongKey(
            f"The database holds secrets, but their key is missing: put {key_file} back, or set "
            "CODEX_SECRET_KEY to the key it had. No new key is made, as it would open nothing."
        )
    keyring = Keyring(keys)
    try:
        keyring.open(record, _place(_SENTINEL))
    except SealBroken as error:
        file = f", or unset it if that is the one in {key_file}" if key_file.exists() else ""
        raise WrongKey(
            "The key given does not open this database: set CODEX_SECRET_KEY to the key that "
            f"sealed it{file}. Nothing was changed. ({error.message})"
        ) from error
    return keyring


async def _holds_secrets(connection: AsyncConnection) -> bool:
    query = select(
        exists(select(sealed.c.id))
        | exists(select(credentials.c.account_id))
        | exists(select(accounts.c.id).where(accounts.c.proxy_url.is_not(None)))
    )
    return bool((await connection.execute(query)).scalar())


async def _record(connection: AsyncConnection, row_id: str) -> bytes | None:
    query = select(sealed.c.record).where(sealed.c.id == row_id)
    return (await connection.execute(query)).scalar_one_or_none()


async def _seal(connection: AsyncConnection, keyring: Keyring, row_id: str, text: Secret) -> None:
    record = keyring.seal(text, _place(row_id))
    await connection.execute(insert(sealed).values(id=row_id, record=record))


async def _peppers(connection: AsyncConnection, keyring: Keyring) -> dict[int, bytes]:
    query = select(sealed.c.id, sealed.c.record).where(sealed.c.id.startswith(_PEPPER))
    found: dict[int, bytes] = {}
    for row_id, record in await connection.execute(query):
        pepper = keyring.open(record, _place(row_id))
        found[int(row_id.removeprefix(_PEPPER))] = bytes.fromhex(pepper.reveal())
    if not found:
        raise WrongKey(
            "The database has no pepper, so no caller's key can be judged: it was damaged or "
            "edited. Restore it from a backup."
        )
    return found


def _place(row_id: str) -> Place:
    return Place("sealed", row_id, "record")


def _key_file_content(path: Path) -> tuple[str, ...]:
    """Return the key file's keys, or none if there is no such file; make it private if it is not.

    Raises:
        WrongKey: The file is there, but is not readable or holds no key.
    """
    try:
        text = path.read_text("ascii")
        if path.stat().st_mode & 0o077:
            with suppress(PermissionError):  # not ours to change: mounted by somebody else
                path.chmod(0o600)
        parse = printable(32, 1024)
        keys = tuple(parse(part) for part in text.replace(",", "\n").split())
    except FileNotFoundError:
        return ()
    except (OSError, ValueError) as error:
        raise WrongKey(f"The key file {path} can't be used: {error}.") from error
    if not keys:
        raise WrongKey(f"The key file {path} is empty: put its content back.")
    return keys


def _new_key_file(path: Path) -> tuple[str, ...]:
    """Make the key file, synced to disk before anything is sealed with its key.

    Raises:
        WrongKey: It can't be written.
    """
    key = secrets.token_hex(32)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{key}\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise WrongKey(
            f"The key file {path} can't be made: {error.strerror}. Make its folder writable, or "
            "set CODEX_SECRET_KEY."
        ) from error
    return (key,)
