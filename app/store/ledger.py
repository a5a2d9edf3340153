"""Takes the rows of the journal, each exactly once, and adds them to the sums.

The place in the journal and the rows that lead up to it are one transaction, so a batch that is
offered again changes nothing. A row whose key is there already stays as it is and is not added to
the sums either. Who moves the journal, and what becomes of a row that is refused, is not known in
here.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import chain
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningInsert

from app.domain.ledger import AttemptRow, RequestRow
from app.ports import Clock, RowRefused
from app.store.engine import Database
from app.store.rollups import rollups
from app.store.tables import attempts as attempts_table
from app.store.tables import journal_positions
from app.store.tables import requests as requests_table
from app.store.usage_rows import attempt_flaw, attempt_values, request_flaw, request_values


class StoredLedger:
    """The tables of calls; satisfies `app.ports.Ledger`."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def positions(self, segments: Sequence[str]) -> dict[str, int]:
        """Return how far each of these segments has been taken; those never seen are left out.

        Raises:
            StateError: The database is away.
        """
        table = journal_positions
        query = select(table.c.segment, table.c.offset).where(table.c.segment.in_(segments))
        async with self._database.read() as connection:
            return {row.segment: row.offset for row in await connection.execute(query)}

    async def take(
        self,
        attempts: Sequence[AttemptRow],
        requests: Sequence[RequestRow],
        *,
        segment: str,
        offset: int,
    ) -> None:
        """Take rows and note in the same transaction that `segment` was read up to `offset`.

        Raises:
            RowRefused: One of the rows is at fault; none was taken.
            StateError: The database is away; none was taken.
        """
        rows = _Rows(attempts, requests)
        async with self._database.append() as connection:
            if await self._advance(connection, segment, offset):
                await self._insert(connection, rows)

    async def check(self, attempts: Sequence[AttemptRow], requests: Sequence[RequestRow]) -> None:
        """Try rows as `take` would, and leave no trace of it.

        Raises:
            RowRefused: One of them is at fault.
            StateError: The database is away.
        """
        rows = _Rows(attempts, requests)
        async with self._database.append() as connection:
            await self._insert(connection, rows)
            await connection.rollback()

    async def forget(self, segments: Sequence[str]) -> None:
        """Forget the places of segments that are deleted.

        Raises:
            StateError: The database is away; nothing was forgotten.
        """
        gone = delete(journal_positions).where(journal_positions.c.segment.in_(segments))
        async with self._database.append() as connection:
            await connection.execute(gone)

    async def _advance(self, connection: AsyncConnection, segment: str, offset: int) -> bool:
        """Note the new place; False if it had been reached before. Whoever is second waits."""
        values = {"segment": segment, "offset": offset, "done_at": self._clock.now()}
        found = await connection.execute(_advancing(connection.dialect.name), values)
        return found.first() is not None

    async def _insert(self, connection: AsyncConnection, rows: "_Rows") -> None:
        with self._refusals():
            new_attempts = await self._database.insert_new(
                connection, attempts_table, rows.attempt_values
            )
            new_requests = await self._database.insert_new(
                connection, requests_table, rows.request_values
            )
            sums = rollups(
                [row for key, row in rows.attempts.items() if key in new_attempts],
                [row for key, row in rows.requests.items() if key in new_requests],
            )
            for table, values in sums.items():
                await self._database.add(connection, table, values)

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if self._database.refuses(error):
                raise RowRefused(str(error).partition("\n")[0]) from error
            raise


_INSERTS: dict[str, Callable[..., postgresql.Insert | sqlite.Insert]] = {
    "postgresql": postgresql.insert,
    "sqlite": sqlite.insert,
}


@cache
def _advancing(dialect: str) -> ReturningInsert[Any]:
    """Return the statement that notes a place beyond the known one; putting it together is slow."""
    table = journal_positions
    insert = _INSERTS[dialect](table)
    moved = insert.on_conflict_do_update(
        index_elements=[table.c.segment],
        set_={"offset": insert.excluded.offset, "done_at": insert.excluded.done_at},
        where=table.c.offset < insert.excluded.offset,
    )
    return moved.returning(table.c.segment)


class _Rows:
    """Rows, each key once, with their values as the tables take them.

    Raises:
        RowRefused: One of them can't be right, whatever a database would say to it.
    """

    def __init__(self, attempts: Sequence[AttemptRow], requests: Sequence[RequestRow]) -> None:
        # Of two rows with one key the first counts, as it would in the table.
        self.attempts = {(row.uid, row.number): row for row in reversed(attempts)}
        self.requests = {(row.uid,): row for row in reversed(requests)}
        self.attempt_values = [attempt_values(row) for row in self.attempts.values()]
        self.request_values = [request_values(row) for row in self.requests.values()]
        flaws = chain(
            map(attempt_flaw, self.attempt_values), map(request_flaw, self.request_values)
        )
        flaw = next(filter(None, flaws), None)
        if flaw:
            raise RowRefused(flaw)
