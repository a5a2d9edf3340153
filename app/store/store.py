"""Everything that outlives the process, behind one door.

`Store.open` prepares the database (file, lock, schema, key) and hands out the parts; one process
at a time does the preparing. Any process may write: each write that others must see bumps the
revision in its own transaction, and a running gateway polls `revision` and loads again when it has
moved. Nothing here is on the path of a call.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Self

from sqlalchemy import select

from app.settings import Settings
from app.store.accounts import Accounts
from app.store.credentials import StoredCredentials, Whose
from app.store.engine import Database, create_file
from app.store.keys import KeyBook, Keys
from app.store.lock import exclusive
from app.store.schema import upgrade
from app.store.settings import StoredSettings
from app.store.tables import revision
from app.store.vault import Vault, open_vault

__all__ = ["Store", "upgrade_schema"]


class Store:
    """The parts of an open store; they live as long as the block of `open`."""

    def __init__(
        self, database: Database, vault: Vault, settings: Settings, *, whose: Whose
    ) -> None:
        limits = settings.limits
        self._database = database
        self._vault = vault
        self.accounts = Accounts(
            database,
            vault.keyring,
            accounts_max=limits.accounts_max,
            events_max=limits.account_events_max,
        )
        self.credentials = StoredCredentials(
            database, vault.keyring, events_max=limits.account_events_max, whose=whose
        )
        self.keys = Keys(database, vault, keys_max=limits.keys_max)
        self.settings = StoredSettings(database)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, settings: Settings, *, whose: Whose = lambda _tokens: None
    ) -> AsyncIterator[Self]:
        """Open the store of `settings`, made or brought up to date if need be.

        `whose` tells from the tokens of a renewal who the account is; without it an account that
        was added by a refresh token alone stays unknown.

        Raises:
            StateError: The database can't be used; `WrongKey` and `NewerSchema` say why. Nothing
                was changed then.
        """
        async with _database(settings) as database:
            # One transaction: a database whose key is wrong is not brought up to date either.
            async with _alone(settings), database.write(announce=False) as connection:
                await connection.run_sync(upgrade)
                vault = await open_vault(
                    connection, keys=settings.secret_keys, key_file=settings.key_file
                )
            yield cls(database, vault, settings, whose=whose)

    async def revision(self) -> int:
        """Return a number that grows whenever what others load from here has changed."""
        async with self._database.read() as connection:
            return int((await connection.execute(select(revision.c.value))).scalar_one())

    def key_book(self) -> KeyBook:
        """Return an empty key book that judges keys as this store does."""
        return KeyBook(self._vault)


async def upgrade_schema(settings: Settings) -> bool:
    """Bring the database up to date without its key; tell whether there was anything to do.

    Raises:
        StateError: It can't be, or a newer version has written it.
    """
    async with (
        _database(settings) as database,
        _alone(settings),
        database.write(announce=False) as connection,
    ):
        return await connection.run_sync(upgrade)


@asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[Database]:
    create_file(settings.sqlite_path)
    database = Database(settings.sqlite_path, busy_timeout_s=settings.limits.store_busy_timeout_s)
    try:
        yield database
    finally:
        await database.close()


def _alone(settings: Settings) -> AbstractAsyncContextManager[None]:
    path = settings.sqlite_path
    lock = path.with_name(f"{path.name}.lock")
    return exclusive(lock, timeout_s=settings.limits.store_lock_timeout_s)
