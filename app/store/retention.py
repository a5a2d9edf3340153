"""Deletes what is older than the operator wants to keep, a bounded number of rows at a time.

Rows go oldest first, in transactions that are small enough for others to get their turn between
them, and nothing is ever read into memory. What one sweep leaves over is for the next one.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import Column, Delete, Table, delete, select, tuple_

from app.domain.report import DAY_S
from app.store.engine import Database
from app.store.tables import (
    attempts,
    audit,
    day_totals,
    error_hours,
    error_totals,
    hour_totals,
    journal_positions,
    requests,
    usage_days,
    usage_hours,
)

BATCH_ROWS: Final = 5_000
BATCHES_MAX: Final = 40
"""For each table in one sweep."""
DAYS_KEPT: Final = 5 * 365
POSITIONS_KEPT_DAYS: Final = 400
"""A segment that is written to only now and then must not be taken a second time, so its place is
kept for much longer than any row; a hundred thousand of them are a few megabytes."""


class Swept(Struct, frozen=True):
    """How many rows of each table were deleted; `complete` says that no older ones are left."""

    rows: dict[str, int]
    complete: bool


class Retention:
    """Deletes rows of calls and of the audit log; whoever calls `sweep` decides how often."""

    def __init__(self, database: Database, *, pause: Callable[[], Awaitable[None]]) -> None:
        self._database = database
        self._pause = pause

    async def sweep(self, now: float, *, log_days: int, hours_days: int, audit_days: int) -> Swept:
        """Delete what is too old, at most `BATCHES_MAX` times `BATCH_ROWS` rows of a table.

        Several processes may sweep at a time: each passes over what another one is deleting.

        Raises:
            StateError: The database is away; what was deleted before that stays deleted.
        """
        ages: list[tuple[Table, Column[Any], int]] = [
            (requests, requests.c.at, log_days),
            (attempts, attempts.c.at, log_days),
            (usage_hours, usage_hours.c.start, hours_days),
            (hour_totals, hour_totals.c.start, hours_days),
            (error_hours, error_hours.c.start, hours_days),
            (error_totals, error_totals.c.start, hours_days),
            (usage_days, usage_days.c.start, DAYS_KEPT),
            (day_totals, day_totals.c.start, DAYS_KEPT),
            (journal_positions, journal_positions.c.done_at, POSITIONS_KEPT_DAYS),
        ]
        sweeps = {
            table.name: _oldest(table, age, before=now - days * DAY_S) for table, age, days in ages
        }
        sweeps[audit.name] = _first_noted(before=now - audit_days * DAY_S)
        deleted: dict[str, int] = {}
        complete = True
        for name, oldest in sweeps.items():
            count, last = await self._delete(oldest)
            deleted[name] = count
            complete = complete and last < BATCH_ROWS
        return Swept(deleted, complete)

    async def _delete(self, oldest: Delete) -> tuple[int, int]:
        """Return how many rows were deleted in all and how many in the last batch."""
        total = last = 0
        for _ in range(BATCHES_MAX):
            async with self._database.append() as connection:
                last = (await connection.execute(oldest)).rowcount
            total += last
            if last < BATCH_ROWS:
                break
            await self._pause()
        return total, last


def _oldest(table: Table, age: Column[Any], *, before: float) -> Delete:
    key = tuple_(*table.primary_key)
    old = select(*table.primary_key).where(age < before).order_by(age).limit(BATCH_ROWS)
    # SQLite has no locks on rows and leaves this out: there, one writer waits for the other.
    return delete(table).where(key.in_(old.with_for_update(skip_locked=True)))


def _first_noted(*, before: float) -> Delete:
    """Entries are noted one after the other, so the first ones are the oldest: no index on time."""
    first = select(audit.c.id, audit.c.at).order_by(audit.c.id).limit(BATCH_ROWS)
    looked = first.with_for_update(skip_locked=True).subquery()
    return delete(audit).where(audit.c.id.in_(select(looked.c.id).where(looked.c.at < before)))
