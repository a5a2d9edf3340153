"""What happened to accounts, for people: rows that are written beside a change, and bounded.

Every account keeps its newest events and no old ones, so that neither an outage of weeks nor an
account that nobody looks at fills the disk. Failures that repeat are one row with a count. Nothing
decides by these rows; the functions run inside the transaction of whoever calls them.
"""

from msgspec.structs import asdict
from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.enrolment import AccountEvent
from app.ports import RenewalEvent, RenewalKind
from app.store.tables import account_events

DETAIL_CHARS_MAX = 500
CODE_CHARS_MAX = 64
EVENTS_AGE_S = 30 * 86_400.0
"""Longer than any credential lives, so that its last renewal is still there."""
PRUNED_MAX = 5_000
"""Rows that one transaction deletes by age; other writers wait meanwhile, some 20 ms."""


async def note(
    connection: AsyncConnection,
    account_id: str,
    kind: str,
    detail: str,
    *,
    at: float,
    events_max: int,
) -> None:
    """Write an account event and delete the account's oldest beyond `events_max`."""
    event = AccountEvent(at, kind, detail)
    await _write(connection, account_id, event, events_max=events_max)


async def note_renewal(
    connection: AsyncConnection,
    account_id: str,
    event: RenewalEvent,
    *,
    detail: str = "",
    events_max: int,
) -> None:
    """Write how a renewal ended; a failure that repeats the account's last event is added to it."""
    if event.kind is not RenewalKind.RENEWED and await _repeated(connection, account_id, event):
        return
    told = AccountEvent(event.at, event.kind.value, detail, event.code, event.next_at)
    await _write(connection, account_id, told, events_max=events_max)


async def noted(
    connection: AsyncConnection, account_id: str, kind: RenewalKind, *, since: float
) -> bool:
    """Tell whether an account has such an event from `since` or later."""
    query = select(account_events.c.id).where(
        account_events.c.account_id == account_id,
        account_events.c.kind == kind.value,
        account_events.c.at >= since,
    )
    return (await connection.execute(query.limit(1))).first() is not None


async def forget(connection: AsyncConnection, *, before: float) -> int:
    """Delete the oldest events from before a time, `PRUNED_MAX` at most; return how many."""
    oldest = (
        select(account_events.c.id)
        .where(account_events.c.at < before)
        .order_by(account_events.c.at, account_events.c.id)
        .limit(PRUNED_MAX)
    )
    gone = await connection.execute(delete(account_events).where(account_events.c.id.in_(oldest)))
    return int(gone.rowcount)


async def _write(
    connection: AsyncConnection, account_id: str, event: AccountEvent, *, events_max: int
) -> None:
    columns = {
        **asdict(event),
        "account_id": account_id,
        "detail": event.detail[:DETAIL_CHARS_MAX],
        "code": _cut(event.code),
    }
    await connection.execute(insert(account_events).values(columns))
    newest_too_many = (
        select(account_events.c.id)
        .where(account_events.c.account_id == account_id)
        .order_by(account_events.c.id.desc())
        .offset(events_max)
        .limit(1)
        .scalar_subquery()
    )
    await connection.execute(
        delete(account_events).where(
            account_events.c.account_id == account_id, account_events.c.id <= newest_too_many
        )
    )


async def _repeated(connection: AsyncConnection, account_id: str, event: RenewalEvent) -> bool:
    """Add `event` to the account's last one, if that is the same."""
    query = (
        select(account_events.c.id, account_events.c.kind, account_events.c.code)
        .where(account_events.c.account_id == account_id)
        .order_by(account_events.c.id.desc())
        .limit(1)
    )
    last = (await connection.execute(query)).one_or_none()
    if last is None or (last.kind, last.code) != (event.kind.value, _cut(event.code)):
        return False
    change = update(account_events).where(account_events.c.id == last.id)
    again = change.values(at=event.at, next_at=event.next_at, count=account_events.c["count"] + 1)
    await connection.execute(again)
    return True


def _cut(code: str | None) -> str | None:
    return code[:CODE_CHARS_MAX] if code else None
