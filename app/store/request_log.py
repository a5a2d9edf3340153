"""The list of single requests, newest first, page by page, and one request with its attempts.

A page looks at a bounded number of rows, however rare the ones are that are asked for: it walks
back along one index (of a caller, of an account, or of all requests) and may come back with few
rows or none and the place from which to go on. So no filter needs an index of its own, and none
makes a slow query.
"""

from typing import Final

from sqlalchemy import ColumnElement, select, tuple_

from app.domain.ledger import AttemptRow
from app.domain.report import Detail, Page, Place, Wanted
from app.store.engine import Database
from app.store.tables import attempts, requests
from app.store.usage_rows import attempt_of, request_of

PAGE_MAX: Final = 200
SCAN_MAX: Final = 5_000
"""Rows that one page looks at."""


class RequestLog:
    """Reads the rows of single requests."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, wanted: Wanted, *, after: Place | None = None, limit: int = 50) -> Page:
        """Return up to `limit` requests (`PAGE_MAX` at most) that come after a place."""
        limit = max(1, min(limit, PAGE_MAX))
        walk, rest = _walk(wanted, after), _rest(wanted)
        query = select(requests).where(*walk).order_by(_at.desc(), _uid.desc()).limit(limit + 1)
        edge: Place | None = None
        async with self._database.read() as connection:
            if rest:
                last = select(_at).where(*walk).order_by(_at.desc()).offset(SCAN_MAX - 1).limit(1)
                edge_at = (await connection.execute(last)).scalar_one_or_none()
                query = query.where(*rest)
                if edge_at is not None:
                    query = query.where(_at >= edge_at)
                    # Every uid is greater, so this is behind all rows of that moment.
                    edge = Place(edge_at, "")
            rows = (await connection.execute(query)).all()
        found = [request_of(row) for row in rows[:limit]]
        # One row more than the page has tells that there is another page.
        if len(rows) > limit:
            return Page(found, Place(found[-1].at, found[-1].uid))
        return Page(found, edge)

    async def request(self, uid: str) -> Detail | None:
        """Return one request with its attempts; None if there is no such row."""
        query = select(requests).where(requests.c.uid == uid)
        parts = select(attempts).where(attempts.c.uid == uid).order_by(attempts.c.number)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
            tried = (await connection.execute(parts)).all()
        return (
            None if row is None else Detail(request_of(row), [attempt_of(each) for each in tried])
        )

    async def attempts(self, account_id: str, *, limit: int = 50) -> list[AttemptRow]:
        """Return an account's latest attempts, also those that another account made up for."""
        query = (
            select(attempts)
            .where(attempts.c.account_id == account_id)
            .order_by(attempts.c.at.desc())
            .limit(max(1, min(limit, PAGE_MAX)))
        )
        async with self._database.read() as connection:
            return [attempt_of(row) for row in await connection.execute(query)]


_at, _uid = requests.c.at, requests.c.uid


def _walk(wanted: Wanted, after: Place | None) -> list[ColumnElement[bool]]:
    """Return the conditions that an index answers."""
    found: list[ColumnElement[bool]] = []
    if wanted.caller_id is not None:
        found.append(requests.c.caller_id == wanted.caller_id)
    elif wanted.account_id is not None:
        found.append(requests.c.account_id == wanted.account_id)
    if wanted.since is not None:
        found.append(_at >= wanted.since)
    if wanted.until is not None:
        found.append(_at < wanted.until)
    if after is not None:
        # The first condition follows from the second, which not every index can use.
        found += [_at <= after.at, tuple_(_at, _uid) < tuple_(after.at, after.uid)]
    return found


def _rest(wanted: Wanted) -> list[ColumnElement[bool]]:
    """Return the conditions that are tried on each row."""
    found: list[ColumnElement[bool]] = []
    if wanted.caller_id is not None and wanted.account_id is not None:
        found.append(requests.c.account_id == wanted.account_id)
    if wanted.status_class is not None:
        first = 100 * wanted.status_class
        found.append(requests.c.status.between(first, first + 99))
    for name in ("model", "code", "request_id"):
        value = getattr(wanted, name)
        if value is not None:
            found.append(requests.c[name] == value)
    return found
