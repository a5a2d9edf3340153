"""Answers that are given again to whoever sends the same request again with the same key.

A row is made before the request is carried out, so of two at a time one is told that the other
goes on. Answers are sealed: one may hold a new key of a caller, which is nowhere else.
"""

from base64 import b64decode, b64encode
from typing import Final

from sqlalchemy import delete, insert, select, update

from app.domain.account import Secret
from app.domain.admin import Answer
from app.store.engine import Database
from app.store.keyring import Keyring, Place
from app.store.tables import idempotency

KEPT_S: Final = 86_400.0
GIVEN_UP_S: Final = 300.0
"""A request that goes on for longer has died with its worker."""


class Idempotency:
    """The rows of `idempotency`."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring

    async def begin(self, id: str, fingerprint: str, *, at: float) -> Answer | None:
        """Return what is known of a request, or None once it is noted that it begins now.

        Raises:
            SealBroken: The answer that was kept does not open any more.
        """
        table = idempotency.c
        died = table.status.is_(None) & (table.at < at - GIVEN_UP_S)
        async with self._database.write(announce=False) as connection:
            old = (table.at < at - KEPT_S) | ((table.id == id) & died)
            await connection.execute(delete(idempotency).where(old))
            query = select(idempotency).where(table.id == id)
            row = (await connection.execute(query)).one_or_none()
            if row is None:
                values = {"id": id, "fingerprint": fingerprint, "at": at}
                await connection.execute(insert(idempotency).values(values))
                return None
        if row.answer is None:
            return Answer(row.fingerprint, row.at, row.status)
        body = b64decode(self._keyring.open(row.answer, _place(id)).reveal())
        return Answer(row.fingerprint, row.at, row.status, body)

    async def end(self, id: str, status: int, body: bytes) -> None:
        """Keep the answer of a request that has begun."""
        answer = self._keyring.seal(Secret(b64encode(body).decode()), _place(id))
        change = update(idempotency).where(idempotency.c.id == id)
        async with self._database.append() as connection:
            await connection.execute(change.values(status=status, answer=answer))

    async def forget(self, id: str) -> None:
        """Let a request that came to nothing be sent again."""
        async with self._database.append() as connection:
            await connection.execute(delete(idempotency).where(idempotency.c.id == id))


def _place(id: str) -> Place:
    return Place("idempotency", id, "answer")
