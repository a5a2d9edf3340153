"""Looks at a database without changing anything: for checks before a start."""

from msgspec import Struct

from app.settings import Settings
from app.store.account_rows import selection, stored
from app.store.engine import Database
from app.store.schema import current
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
    if not path.exists() or not path.stat().st_size:
        return Inspection(exists=False)
    database = Database(path, busy_timeout_s=settings.limits.store_busy_timeout_s)
    try:
        async with database.read() as connection:
            if not await connection.run_sync(current):
                return Inspection(exists=True)
            keyring = await prove(connection, keys=settings.secret_keys, key_file=settings.key_file)
            rows = (await connection.execute(selection())).all()
    finally:
        await database.close()
    damaged = sum(stored(row, keyring).damaged for row in rows) if keyring else 0
    return Inspection(exists=True, schema_current=True, accounts=len(rows), damaged=damaged)
