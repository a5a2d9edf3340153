"""The administrator: one password, the sessions of its browsers, and a second factor if one is set.

The password is a hash that was made elsewhere, a session the digest of its cookie. The second
factor's secret lies in `sealed`, so that a rotation of keys takes it along.
"""

from typing import Any, Final

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.account import Secret
from app.domain.admin import Password, Session
from app.store.engine import Database
from app.store.keyring import Keyring, Place
from app.store.tables import admin_sessions, administrator, sealed

SESSIONS_MAX: Final = 100
"""More browsers than one operator has; the one that was seen longest ago goes first."""
TOTP: Final = "admin-totp"
PENDING_TOTP: Final = "admin-totp-pending"
_ROW: Final = 1


class Administration:
    """The rows of `administrator` and `admin_sessions`."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring

    async def password(self) -> Password | None:
        """Return the password as it is stored; None before the first start."""
        async with self._database.read() as connection:
            return await _password(connection)

    async def first_password(self, hash: str, *, at: float) -> bool:
        """Store the password unless there is one already; tell whether it was stored."""
        async with self._database.write(announce=False) as connection:
            if await _password(connection) is not None:
                return False
            row = {"id": _ROW, "password_hash": hash, "set_at": at, "totp_step": 0}
            await connection.execute(insert(administrator).values(row))
            return True

    async def set_password(self, hash: str, *, at: float) -> None:
        """Replace the password, and end every session."""
        values = {"password_hash": hash, "set_at": at}
        async with self._database.write(announce=False) as connection:
            change = update(administrator).where(administrator.c.id == _ROW).values(values)
            if not (await connection.execute(change)).rowcount:
                await connection.execute(insert(administrator).values(id=_ROW, **values))
            await connection.execute(delete(admin_sessions))

    async def take_step(self, step: int) -> bool:
        """Note that a code of this time step was used; False if it, or a later one, was before."""
        change = update(administrator).where(
            administrator.c.id == _ROW, administrator.c.totp_step < step
        )
        async with self._database.write(announce=False) as connection:
            return (await connection.execute(change.values(totp_step=step))).rowcount == 1

    async def second_factor(self, *, pending: bool = False) -> Secret | None:
        """Return the secret of the one-time codes, or the one that is yet to be confirmed.

        Raises:
            SealBroken: It does not open.
        """
        place = Place("sealed", PENDING_TOTP if pending else TOTP, "record")
        query = select(sealed.c.record).where(sealed.c.id == place.row_id)
        async with self._database.read() as connection:
            record = (await connection.execute(query)).scalar_one_or_none()
        return None if record is None else self._keyring.open(record, place)

    async def set_second_factor(self, secret: Secret | None, *, pending: bool = False) -> None:
        """Replace the secret, or take it away; what was pending is over with it."""
        async with self._database.write(announce=False) as connection:
            gone = (PENDING_TOTP,) if pending else (PENDING_TOTP, TOTP)
            await connection.execute(delete(sealed).where(sealed.c.id.in_(gone)))
            if secret is not None:
                row_id = PENDING_TOTP if pending else TOTP
                record = self._keyring.seal(secret, Place("sealed", row_id, "record"))
                await connection.execute(insert(sealed).values(id=row_id, record=record))

    async def add_session(self, session: Session, *, expired_before: tuple[float, float]) -> None:
        """Store a session; those are deleted that began, or were last seen, before these times."""
        began, seen = expired_before
        old = (admin_sessions.c.created_at < began) | (admin_sessions.c.seen_at < seen)
        too_many = (
            select(admin_sessions.c.digest)
            .order_by(admin_sessions.c.seen_at.desc())
            .offset(SESSIONS_MAX - 1)
        )
        async with self._database.write(announce=False) as connection:
            await connection.execute(delete(admin_sessions).where(old))
            beyond = [row.digest for row in await connection.execute(too_many)]
            await connection.execute(
                delete(admin_sessions).where(admin_sessions.c.digest.in_(beyond))
            )
            await connection.execute(
                insert(admin_sessions).values(
                    digest=session.digest,
                    created_at=session.created_at,
                    seen_at=session.seen_at,
                    ip=session.ip,
                    user_agent=session.user_agent,
                )
            )

    async def session(self, digest: str) -> Session | None:
        """Return a session, however old it is."""
        query = select(admin_sessions).where(admin_sessions.c.digest == digest)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else _session(row)

    async def sessions(self) -> list[Session]:
        """Return all sessions, the one that was seen last first."""
        query = select(admin_sessions).order_by(admin_sessions.c.seen_at.desc())
        async with self._database.read() as connection:
            return [_session(row) for row in await connection.execute(query)]

    async def see_session(self, digest: str, *, at: float) -> None:
        """Note that a session was used."""
        change = update(admin_sessions).where(admin_sessions.c.digest == digest)
        async with self._database.append() as connection:
            await connection.execute(change.values(seen_at=at))

    async def end_session(self, digest: str) -> bool:
        """End a session, named by its digest or its id; False if there is none."""
        named = admin_sessions.c.digest.startswith(digest, autoescape=True)
        async with self._database.write(announce=False) as connection:
            return bool((await connection.execute(delete(admin_sessions).where(named))).rowcount)


async def _password(connection: AsyncConnection) -> Password | None:
    query = select(administrator).where(administrator.c.id == _ROW)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else Password(row.password_hash, row.set_at, row.totp_step)


def _session(row: Row[Any]) -> Session:
    return Session(row.digest, row.created_at, row.seen_at, row.ip, row.user_agent)
