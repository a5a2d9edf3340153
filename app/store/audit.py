"""Who did what to the gateway: rows that are added and read, and never changed.

Old ones go by `app.store.retention`.
"""

from typing import Final

from msgspec.structs import asdict
from sqlalchemy import insert, select

from app.domain.admin import AuditEntry
from app.store.engine import Database
from app.store.tables import audit

PAGE_MAX: Final = 200
TEXT_CHARS_MAX: Final = 8_192
"""Of what something was before, and of what it is now; a longer one is told by its length."""


class Audit:
    """The rows of `audit`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def note(self, entry: AuditEntry) -> None:
        """Add an entry.

        Raises:
            StateError: The database can't be written.
        """
        values = {name: value for name, value in asdict(entry).items() if name != "id"}
        values |= {name: _bounded(values[name]) for name in ("before", "after")}
        values["target"] = entry.target[:TEXT_CHARS_MAX]
        async with self._database.append() as connection:
            await connection.execute(insert(audit).values(values))

    async def page(
        self, *, before: int | None = None, limit: int = 50, action: str | None = None
    ) -> list[AuditEntry]:
        """Return entries, the latest first: those with an id below `before`."""
        query = select(audit).order_by(audit.c.id.desc()).limit(max(1, min(limit, PAGE_MAX)))
        if before is not None:
            query = query.where(audit.c.id < before)
        if action is not None:
            query = query.where(audit.c.action == action)
        async with self._database.read() as connection:
            return [
                AuditEntry(
                    row.at, row.actor, row.ip, row.request_id, row.action, row.target,
                    row.before, row.after, row.id,
                )
                for row in await connection.execute(query)
            ]  # fmt: skip


def _bounded(document: str) -> str:
    return document if len(document) <= TEXT_CHARS_MAX else f'"{len(document)} characters"'
