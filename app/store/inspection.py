"""Looks at a database without changing anything: for checks before a start."""

from msgspec import Struct
from sqlalchemy import inspect as reflect
from sqlalchemy.engine import Connection

from app.settings import Driver, Settings
from app.store.account_rows import selection, stored
from app.store.schema import current
from app.store.store import database_of
from app.store.vault import prove


class Inspection(Struct, frozen=True):
    """What was found; `accounts` and `damaged` are counted only where the schema is current."""

    exists: bool
    schema_current: bool = False
    accounts: int = 0
    damaged: int = 0


async def inspect(settings: Settings) -> Inspection:
    """Return the state of the database of `settings`.

    Raises:
        StateError: It can't be used: `NewerSchema`, `WrongKey`, or the database itself is at fault.
    """
    path = settings.sqlite_path
    if settings.database_driver is Driver.SQLITE and not (path.exists() and path.stat().st_size):
        return Inspection(exists=False)
    database = database_of(settings)
    try:
        async with database.read() as connection:
            if not await connection.run_sync(_has_tables):
                return Inspection(exists=False)
            if not await connection.run_sync(current):
                return Inspection(exists=True)
            keyring = await prove(connection, keys=settings.secret_keys, key_file=settings.key_file)
            rows = (await connection.execute(selection())).all()
    finally:
        await database.close()
    damaged = sum(stored(row, keyring).damaged for row in rows) if keyring else 0
    return Inspection(exists=True, schema_current=True, accounts=len(rows), damaged=damaged)


def _has_tables(connection: Connection) -> bool:
    return bool(reflect(connection).get_table_names())
