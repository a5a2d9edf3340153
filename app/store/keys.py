"""Callers' keys: made once, shown once, stored as a digest that needs the keyring to be tried.

A key is found by HMAC-SHA256 under a pepper, in memory: no row is read and no clock is asked
while a call waits. Keys that operators bring along have no format, so there is nothing to parse.
The slow hashes that passwords need would only be a way to load the gateway: these keys are long
and random. When a key expires or what it may ask for is judged where it is used.
"""

import hmac
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from msgspec import UNSET
from msgspec.structs import asdict
from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain import enrolment
from app.domain.account import Secret
from app.domain.caller import Allowance, Caller, KeyId
from app.domain.enrolment import CreatedKey, KeyChanges, KeyDigest, StoredKey, labels, limit
from app.errors import InvalidRequest, StaleEdit
from app.store.account_rows import names, names_column
from app.store.engine import Database
from app.store.tables import keys
from app.store.vault import Vault

KEY_CHARS_MIN = 3
KEY_CHARS_MAX = 256
_TAIL_CHARS = 4
_LONG_ENOUGH_FOR_TAIL = 20
_DUMMY = bytes(32)
_UNLIMITED = Allowance()
_CHECKS: Mapping[str, Callable[..., object]] = {
    "groups": labels,
    "tags": labels,
    "endpoints": enrolment.endpoints,
    "networks": enrolment.networks,
    **dict.fromkeys(Allowance.__struct_fields__, limit),
}
"""What a value of a field must pass, and how it is kept."""


class Keys:
    """The rows of `keys`."""

    def __init__(self, database: Database, vault: Vault, *, keys_max: int) -> None:
        self._database = database
        self._vault = vault
        self._keys_max = keys_max

    async def create(  # noqa: PLR0913 - keyword-only, one per field of a key
        self,
        *,
        name: str,
        at: float,
        key: Secret | KeyDigest | None = None,
        expires_at: float | None = None,
        models: tuple[str, ...] = (),
        groups: tuple[str, ...] = (),
        tags: tuple[str, ...] = (),
        endpoints: tuple[str, ...] = (),
        networks: tuple[str, ...] = (),
        allowance: Allowance = _UNLIMITED,
    ) -> CreatedKey:
        """Make a key, or store the one that the operator brings along, whole or as a digest.

        Raises:
            InvalidRequest: The operator's key has a wrong form or is there already; a name, a
                network or a limit has a wrong form; or the store is full.
        """
        key_id = KeyId(secrets.token_hex(5))
        key = key or Secret(f"sk-c2a-{key_id}-{secrets.token_urlsafe(32)}")
        caller = Caller(
            id=key_id,
            name=name,
            expires_at=expires_at,
            models=models,
            groups=labels(groups, param="groups"),
            tags=labels(tags, param="tags"),
            endpoints=enrolment.endpoints(endpoints, param="endpoints"),
            networks=enrolment.networks(networks, param="networks"),
            allowance=Allowance(
                **{name: limit(value, param=name) for name, value in asdict(allowance).items()}
            ),
        )
        async with self._database.write() as connection:
            if await self._known(connection, _checked(key)):
                raise InvalidRequest("This key is there already.", param="key")
            await self._insert(connection, caller, key, at=at)
        return CreatedKey(caller, Secret("") if isinstance(key, KeyDigest) else key)

    async def ensure(self, wanted: Sequence[Secret], *, name: str, at: float) -> int:
        """Store the keys that are not there yet, and return how many; a revoked one stays so.

        Raises:
            InvalidRequest: A key has a wrong form, or the store is full.
        """
        made = 0
        async with self._database.write() as connection:
            for number, key in enumerate(wanted, start=1):
                if not await self._known(connection, _checked(key)):
                    caller = Caller(id=KeyId(secrets.token_hex(5)), name=f"{name} {number}")
                    await self._insert(connection, caller, key, at=at)
                    made += 1
        return made

    async def list(self, *, revoked: bool = False) -> list[StoredKey]:
        """Return the keys, oldest first; the revoked ones too if asked for."""
        query = select(keys).order_by(keys.c.created_at, keys.c.id)
        if not revoked:
            query = query.where(keys.c.revoked_at.is_(None))
        async with self._database.read() as connection:
            return [_stored(row) for row in await connection.execute(query)]

    async def revoke(self, key_id: KeyId, *, at: float) -> bool:
        """Revoke a key for good; False if there is no such key that still works."""
        change = update(keys).where(keys.c.id == key_id, keys.c.revoked_at.is_(None))
        async with self._database.write() as connection:
            return (await connection.execute(change.values(revoked_at=at))).rowcount == 1

    async def change(
        self, key_id: KeyId, changes: KeyChanges, *, version: int | None = None
    ) -> StoredKey | None:
        """Change what `changes` sets and return the key; None if none that works has the id.

        `version` is that of the key which the change was decided on, None for any.

        Raises:
            InvalidRequest: A name, a network or a limit has a wrong form.
            StaleEdit: The key has another version by now.
        """
        values = {name: value for name, value in asdict(changes).items() if value is not UNSET}
        for name, checked in _CHECKS.items():
            if name in values:
                values[name] = checked(values[name], param=name)
        columns: dict[str, Any] = {
            name: names_column(value) if isinstance(value, tuple) else value
            for name, value in values.items()
        }
        mine = (keys.c.id == key_id, keys.c.revoked_at.is_(None))
        async with self._database.write(announce=bool(columns)) as connection:
            if columns:
                await _check_version(connection, key_id, version)
                columns["version"] = keys.c.version + 1
                await connection.execute(update(keys).where(*mine).values(columns))
            row = (await connection.execute(select(keys).where(*mine))).one_or_none()
        return None if row is None else _stored(row)

    async def _known(self, connection: AsyncConnection, key: Secret | KeyDigest) -> bool:
        peppers = self._vault.peppers.values()
        digests = [each for pepper in peppers for each in digests_of(key, pepper)]
        query = select(func.count()).where(keys.c.digest.in_(digests))
        return bool((await connection.execute(query)).scalar_one())

    async def _insert(
        self, connection: AsyncConnection, caller: Caller, key: Secret | KeyDigest, *, at: float
    ) -> None:
        count = (await connection.execute(select(func.count()).select_from(keys))).scalar_one()
        if count >= self._keys_max:
            raise InvalidRequest(f"The store holds {count} keys, which is the limit.")
        version = self._vault.pepper_version
        text = "" if isinstance(key, KeyDigest) else key.reveal()
        await connection.execute(
            insert(keys).values(
                id=caller.id,
                name=caller.name,
                digest=digests_of(key, self._vault.peppers[version])[0],
                pepper=version,
                tail=text[-_TAIL_CHARS:] if len(text) >= _LONG_ENOUGH_FOR_TAIL else "",
                enabled=caller.enabled,
                expires_at=caller.expires_at,
                models=names_column(caller.models),
                groups=names_column(caller.groups),
                tags=names_column(caller.tags),
                endpoints=names_column(caller.endpoints),
                networks=names_column(caller.networks),
                created_at=at,
                **asdict(caller.allowance),
            )
        )


class KeyBook:
    """Every working key of the deployment in memory; satisfies `app.ports.Callers`."""

    def __init__(self, vault: Vault) -> None:
        self._peppers = tuple(vault.peppers.values())
        self._entries: dict[bytes, StoredKey] = {}

    def replace(self, stored: Iterable[StoredKey]) -> None:
        """Take over what the store holds now, in one assignment; revoked keys are left out."""
        self._entries = {entry.digest: entry for entry in stored if entry.revoked_at is None}

    def revoke(self, key_id: KeyId) -> None:
        """Let a key open nothing any more, before the store is read anew."""
        for found in [each for each, entry in self._entries.items() if entry.caller.id == key_id]:
            del self._entries[found]

    def find(self, key: str) -> Caller | None:
        """Return the caller whose key this is, in a time that does not depend on the key.

        Where a digest is looked up tells nothing about the key, since nobody without the pepper
        can aim at a digest; the comparison after it does not tell how much of it was right.
        """
        found: Caller | None = None
        for pepper in self._peppers:
            given = digest(key, pepper)
            entry = self._entries.get(given)
            if hmac.compare_digest(given, entry.digest if entry else _DUMMY) and entry:
                found = entry.caller
        return found or self._find_foreign(key)

    def _find_foreign(self, key: str) -> Caller | None:
        """Return the caller whose key was brought from elsewhere, as a digest."""
        found: Caller | None = None
        foreign = sha256(encoded(key)).digest()
        for pepper in self._peppers:
            given = foreign_digest(foreign, pepper)
            entry = self._entries.get(given)
            if hmac.compare_digest(given, entry.digest if entry else _DUMMY) and entry:
                found = entry.caller
        return found

    @property
    def callers(self) -> Iterable[Caller]:
        """Everybody who has a key."""
        return (entry.caller for entry in self._entries.values())

    @property
    def empty(self) -> bool:
        """True while no key at all is configured."""
        return not self._entries


async def _check_version(connection: AsyncConnection, key_id: KeyId, version: int | None) -> None:
    found = (await connection.execute(select(keys.c.version).where(keys.c.id == key_id))).scalar()
    if version is not None and found is not None and found != version:
        raise StaleEdit("Somebody else has changed this key meanwhile.", param="version")


def digest(key: str, pepper: bytes) -> bytes:
    """Return what is stored of a key."""
    return hmac.digest(pepper, encoded(key), "sha256")


def foreign_digest(sha256: bytes, pepper: bytes) -> bytes:
    """Return what is stored of a key of which only this digest is known.

    No key begins with a NUL, so whoever has got hold of the digest has no key that opens.
    """
    return hmac.digest(pepper, b"\0sha256:" + sha256, "sha256")


def digests_of(key: Secret | KeyDigest, pepper: bytes) -> list[bytes]:
    """Return how a key is stored, and after that how else it may have been."""
    if isinstance(key, KeyDigest):
        return [foreign_digest(key.sha256, pepper)]
    text = key.reveal()
    return [digest(text, pepper), foreign_digest(sha256(encoded(text)).digest(), pepper)]


def encoded(key: str) -> bytes:
    """Return a key as bytes; a header may hold what is no text, which is a key that nobody has."""
    return key.encode("utf-8", "surrogatepass")


def _checked(key: Secret | KeyDigest) -> Secret | KeyDigest:
    if isinstance(key, KeyDigest):
        return key
    text = key.reveal()
    fits = KEY_CHARS_MIN <= len(text) <= KEY_CHARS_MAX
    if not fits or not text.isascii() or not text.isprintable() or " " in text:
        raise InvalidRequest(
            f"A key has {KEY_CHARS_MIN} to {KEY_CHARS_MAX} printable ASCII characters, no blanks.",
            param="key",
        )
    return key


def _stored(row: Row[Any]) -> StoredKey:
    caller = Caller(
        id=KeyId(row.id),
        name=row.name,
        enabled=row.enabled,
        expires_at=row.expires_at,
        models=names(row.models),
        groups=names(row.groups),
        tags=names(row.tags),
        endpoints=names(row.endpoints),
        networks=names(row.networks),
        allowance=Allowance(
            requests_per_minute=row.requests_per_minute,
            tokens_per_minute=row.tokens_per_minute,
            concurrency_max=row.concurrency_max,
            day_nusd=row.day_nusd,
            month_nusd=row.month_nusd,
        ),
    )
    return StoredKey(caller, row.digest, row.tail, row.created_at, row.revoked_at, row.version)
