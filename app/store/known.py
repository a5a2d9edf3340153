"""Tells what of another gateway's accounts and keys the store has already.

It changes nothing: no table, no key file, not even the database file is made by the question.
"""

from collections.abc import Sequence
from typing import Final, TypeVar

from msgspec import Struct
from sqlalchemy import Column, select
from sqlalchemy import inspect as reflect
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.account import Secret
from app.domain.enrolment import Enrolment, KeyDigest
from app.settings import Driver, Settings
from app.store.account_rows import identity
from app.store.keys import digests_of
from app.store.store import database_of
from app.store.tables import accounts, keys
from app.store.vault import Vault, open_vault, prove

T = TypeVar("T")

_ASKED_AT_A_TIME: Final = 500


class Known(Struct, frozen=True):
    """What is there already: accounts and keys by their places in the lists that were asked about.

    `names` are those of all keys that were not revoked.
    """

    accounts: frozenset[int] = frozenset()
    keys: frozenset[int] = frozenset()
    names: frozenset[str] = frozenset()


async def already_there(
    settings: Settings, new: Sequence[Enrolment], given: Sequence[Secret | KeyDigest]
) -> Known:
    """Tell what the store of `settings` has already; it may be missing or older.

    Raises:
        StateError: The database can't be read, or its key is missing.
        InvalidRequest: An account has no token.
    """
    path = settings.sqlite_path
    if settings.database_driver is Driver.SQLITE and not (path.exists() and path.stat().st_size):
        return Known()
    database = database_of(settings)
    try:
        async with database.read() as connection:
            if not await connection.run_sync(_has_tables):
                return Known()
            places = {identity(each): place for place, each in enumerate(new)}
            held = await _held(connection, accounts.c.identity, list(places))
            known_keys: frozenset[int] = frozenset()
            ring, key_file = settings.secret_keys, settings.key_file
            if await prove(connection, keys=ring, key_file=key_file) is not None:
                vault = await open_vault(connection, keys=ring, key_file=key_file)
                known_keys = await _known_keys(connection, vault, given)
            query = select(keys.c.name).where(keys.c.revoked_at.is_(None))
            names = frozenset((await connection.execute(query)).scalars())
    finally:
        await database.close()
    return Known(frozenset(places[each] for each in held), known_keys, names)


async def _known_keys(
    connection: AsyncConnection, vault: Vault, given: Sequence[Secret | KeyDigest]
) -> frozenset[int]:
    digests = {
        each: place
        for place, key in enumerate(given)
        for pepper in vault.peppers.values()
        for each in digests_of(key, pepper)
    }
    held = await _held(connection, keys.c.digest, list(digests))
    return frozenset(digests[each] for each in held)


async def _held(connection: AsyncConnection, column: Column[T], wanted: list[T]) -> list[T]:
    found: list[T] = []
    for start in range(0, len(wanted), _ASKED_AT_A_TIME):
        query = select(column).where(column.in_(wanted[start : start + _ASKED_AT_A_TIME]))
        found += (await connection.execute(query)).scalars()
    return found


def _has_tables(connection: Connection) -> bool:
    return reflect(connection).has_table("accounts")
