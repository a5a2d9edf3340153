"""Everything that outlives the process, behind one door.

`Store.open` prepares the database (file, lock, schema, key) and hands out the parts; one process
at a time does the preparing. Any process may write: each write that others must see bumps the
revision in its own transaction, and a running gateway polls `revision` and loads again when it has
moved. Nothing here is on the path of a call.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Self

from sqlalchemy import select

from app.ports import Clock
from app.settings import Driver, Settings
from app.store.accounts import Accounts
from app.store.administration import Administration
from app.store.audit import Audit
from app.store.credentials import StoredCredentials, Whose
from app.store.engine import Database
from app.store.idempotency import Idempotency
from app.store.keys import KeyBook, Keys
from app.store.ledger import StoredLedger
from app.store.logins import StoredLogins
from app.store.prices import StoredPrices
from app.store.reports import Reports
from app.store.request_log import RequestLog
from app.store.retention import Retention
from app.store.schema import upgrade
from app.store.settings import StoredSettings
from app.store.sqlite import SqliteDatabase, create_file
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
        self.keyring = vault.keyring
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
        self.reports = Reports(database)
        self.prices = StoredPrices(database)
        self.request_log = RequestLog(database)
        self.administration = Administration(database, vault.keyring)
        self.audit = Audit(database)
        self.idempotency = Idempotency(database, vault.keyring)
        self.logins = StoredLogins(database, vault.keyring)

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
            timeout_s = settings.limits.store_lock_timeout_s
            async with database.prepare(timeout_s=timeout_s) as connection:
                await connection.run_sync(upgrade)
                vault = await open_vault(
                    connection, keys=settings.secret_keys, key_file=settings.key_file
                )
            yield cls(database, vault, settings, whose=whose)

    async def revision(self) -> int:
        """Return a number that grows whenever what others load from here has changed."""
        async with self._database.read() as connection:
            return int((await connection.execute(select(revision.c.value))).scalar_one())

    async def processes(self) -> int:
        """Return how many processes have this database open now, this one included.

        Raises:
            StateError: The database can't be asked.
        """
        return await self._database.processes()

    @property
    def installation(self) -> str:
        """The name of the installation: the same in every copy and backup of its database."""
        return self._vault.installation

    def key_book(self) -> KeyBook:
        """Return an empty key book that judges keys as this store does."""
        return KeyBook(self._vault)

    def ledger(self, clock: Clock) -> StoredLedger:
        """Return where the rows of the journal go."""
        return StoredLedger(self._database, clock=clock)

    def retention(self, *, pause: Callable[[], Awaitable[None]]) -> Retention:
        """Return what deletes old rows; it awaits `pause` between its transactions."""
        return Retention(self._database, pause=pause)


async def upgrade_schema(settings: Settings) -> bool:
    """Bring the database up to date without its key; tell whether there was anything to do.

    Raises:
        StateError: It can't be, or a newer version has written it.
    """
    timeout_s = settings.limits.store_lock_timeout_s
    async with (
        _database(settings) as database,
        database.prepare(timeout_s=timeout_s) as connection,
    ):
        return await connection.run_sync(upgrade)


def database_of(settings: Settings) -> Database:
    """Return the database that the settings name; nothing is dialled or made yet."""
    if settings.database_driver is Driver.POSTGRES:
        # Its driver is two megabytes that a process on SQLite has no use for.
        from app.store.postgres import PostgresDatabase, address  # noqa: PLC0415

        return PostgresDatabase(address(settings))
    return SqliteDatabase(settings.sqlite_path, busy_timeout_s=settings.limits.store_busy_timeout_s)


def database_name(settings: Settings) -> str:
    """Return what to call the database of the settings when talking to people."""
    if settings.database_driver is Driver.POSTGRES:
        from app.store.postgres import address  # noqa: PLC0415 - as above

        return address(settings).shown
    return str(settings.sqlite_path)


@asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[Database]:
    if settings.database_driver is Driver.SQLITE:
        create_file(settings.sqlite_path)
    database = database_of(settings)
    try:
        yield database
    finally:
        await database.close()
