"""Which prices there have been: a version and its table, written once and never changed.

Costs are stored with the version that they were made with, so that they can be understood later.
"""

from sqlalchemy import select

from app.store.engine import Database
from app.store.tables import prices


class StoredPrices:
    """The rows of `prices`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, version: int, document: str, *, at: float) -> None:
        """Store a version unless it is there; equal versions have equal documents.

        Raises:
            StateError: The database is away; nothing was stored.
        """
        async with self._database.append() as connection:
            await self._database.insert_new(connection, prices, [(version, at, document)])

    async def find(self, version: int) -> str | None:
        """Return a version's document, None if nobody has stored it.

        Raises:
            StateError: The database is away.
        """
        query = select(prices.c.document).where(prices.c.version == version)
        async with self._database.read() as connection:
            return (await connection.execute(query)).scalar_one_or_none()
