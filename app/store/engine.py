"""A database as the rest of the store sees it: read a snapshot, write a transaction.

Writers take turns, on SQLite because it has one and on Postgres by a lock of the transaction, so
that what is checked in a write is still true when it is committed, and one suite of tests fits
both. Which database it is stands in `app.store.sqlite` and `app.store.postgres`; every error of a
driver leaves here as a `StateError` with its remedy.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any

from sqlalchemy import Table, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.errors import StateError
from app.store.tables import revision


class Database(ABC):
    """One database. Call `close` at the end."""

    def __init__(self, *, readers: AsyncEngine, writer: AsyncEngine) -> None:
        self._readers = readers
        self._writer = writer

    @property
    @abstractmethod
    def name(self) -> str:
        """What to call it when talking to people: its path or its address, never a password."""

    @abstractmethod
    def explain(self, error: Exception) -> str:
        """Return what is wrong and what an operator can do, in whole sentences."""

    @abstractmethod
    def refuses(self, error: Exception) -> bool:
        """Tell whether an error says that a row is at fault, not the database."""

    @abstractmethod
    async def insert_new(
        self, connection: AsyncConnection, table: Table, rows: Sequence[tuple[Any, ...]]
    ) -> set[tuple[Any, ...]]:
        """Insert the rows whose keys are not there yet, and return those keys.

        A row has a value for every column of the table, in order, and each key is there once.
        """

    @abstractmethod
    async def add(
        self, connection: AsyncConnection, table: Table, rows: Sequence[tuple[Any, ...]]
    ) -> None:
        """Insert rows of numbers, or add them to the rows that have their keys.

        Sort them by their keys, so that of two writers each waits for the other at most once.
        """

    async def processes(self) -> int:
        """Return how many processes use the database now, as far as it knows, at least one.

        Raises:
            StateError: The database can't be asked.
        """
        return 1

    @abstractmethod
    def prepare(self, *, timeout_s: float) -> AbstractAsyncContextManager[AsyncConnection]:
        """Open the one transaction in which a start makes or migrates the tables.

        Of several processes one at a time gets here; the others wait up to `timeout_s`.

        Raises:
            StateError: Another process kept it for too long, or the database can't be written.
        """

    @abstractmethod
    def _alone(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Open a write transaction that no other writer shares."""

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Open a snapshot of the rows as they were at its first statement.

        Raises:
            StateError: The database can't be read.
        """
        with self.translated():
            async with self._readers.connect() as connection:
                yield connection

    @asynccontextmanager
    async def write(self, *, announce: bool = True) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that is committed at the end of the block, or undone on an error.

        `announce` bumps the revision in the same transaction, for running gateways to notice.

        Raises:
            StateError: The database can't be written; nothing was.
        """
        with self.translated():
            async with self._alone() as connection:
                yield connection
                if announce:
                    await connection.execute(update(revision).values(value=revision.c.value + 1))

    @asynccontextmanager
    async def append(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction for rows of one's own, which many processes may append at a time.

        Raises:
            StateError: The database can't be written; nothing was.
        """
        with self.translated():
            async with self._writer.begin() as connection:
                yield connection

    async def close(self) -> None:
        """Close every connection."""
        await self._readers.dispose()
        await self._writer.dispose()

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn the driver's errors into `StateError`."""
        try:
            yield
        except (SQLAlchemyError, OSError) as error:
            raise StateError(self.explain(driver_error(error))) from error


def driver_error(error: Exception) -> Exception:
    """Return what the driver itself said."""
    orig = getattr(error, "orig", None)
    return orig if isinstance(orig, Exception) else error
