"""Writes down who did what: one entry for each change, with what it was before and after.

Secrets never get here: whoever notes a change says it in values that hold none.
"""

import msgspec

from app.admin.rows import AuditRows
from app.domain.admin import Actor, AuditEntry
from app.ports import Clock


class Auditor:
    """Notes and reads entries."""

    def __init__(self, *, rows: AuditRows, clock: Clock) -> None:
        self._rows = rows
        self._clock = clock

    async def note(
        self, actor: Actor, action: str, target: str = "", *, before: object = None,
        after: object = None,
    ) -> None:  # fmt: skip
        """Add an entry; the change itself is stored already, or is about to be.

        Raises:
            StateError: The store can't be written.
        """
        entry = AuditEntry(
            at=self._clock.now(),
            actor=actor.name,
            ip=actor.ip,
            request_id=actor.request_id,
            action=action,
            target=target,
            before=msgspec.json.encode(before).decode(),
            after=msgspec.json.encode(after).decode(),
        )
        await self._rows.note(entry)

    async def page(self, *, before: int | None, limit: int, action: str | None) -> list[AuditEntry]:
        """Return entries, the latest first."""
        return await self._rows.page(before=before, limit=limit, action=action)
