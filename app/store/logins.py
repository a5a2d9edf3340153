"""Logins in progress, where every worker finds them: whichever is asked next can go on.

A row is named by a digest and holds nothing in the clear: its text has the PKCE verifier in it.
"""

from hashlib import sha256

from sqlalchemy import delete, insert, select, update

from app.domain.account import Secret
from app.domain.login import LOGINS_MAX, Claim
from app.store.engine import Database
from app.store.keyring import Keyring, Place
from app.store.tables import logins

_row = logins.c


class StoredLogins:
    """The rows of `logins`; satisfies `PendingLogins`."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring

    async def put(self, id: str, login: Secret, *, expires_at: float, due_at: float) -> None:
        """Keep a login; it replaces one of the same id, and the oldest give way.

        Raises:
            StateError: The database is away.
        """
        name = _name(id)
        sealed = self._keyring.seal(login, _place(name))
        values = {"id": name, "expires_at": expires_at, "due_at": due_at, "login": sealed}
        newest = select(_row.id).order_by(_row.expires_at.desc()).limit(LOGINS_MAX - 1)
        async with self._database.write(announce=False) as connection:
            await connection.execute(delete(logins).where(_row.id == name))
            await connection.execute(delete(logins).where(_row.id.not_in(newest)))
            await connection.execute(insert(logins).values(values))

    async def take(self, id: str, *, now: float) -> Secret | None:
        """Return a login that has not expired, and forget it: to one only, if several take it."""
        name = _name(id)
        gone = delete(logins).where(_row.id == name).returning(_row.expires_at, _row.login)
        async with self._database.write(announce=False) as connection:
            row = (await connection.execute(gone)).one_or_none()
        if row is None or row.expires_at <= now:
            return None
        return self._keyring.open(row.login, _place(name))

    async def claim(self, id: str, *, now: float, until: float) -> Claim | None:
        """Return a login that is due, and let nobody else have it before `until`."""
        name = _name(id)
        good = (_row.id == name) & (_row.expires_at > now)
        held = update(logins).where(good, _row.due_at <= now).values(due_at=until)
        async with self._database.write(announce=False) as connection:
            row = (await connection.execute(held.returning(_row.login))).one_or_none()
            if row is None:
                found = (await connection.execute(select(_row.id).where(good))).one_or_none()
                return None if found is None else Claim(None)
        return Claim(self._keyring.open(row.login, _place(name)))


def _name(id: str) -> str:
    return sha256(id.encode()).hexdigest()


def _place(name: str) -> Place:
    return Place("logins", name, "login")
