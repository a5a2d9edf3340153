"""Tests of app.store.retention."""

import pytest
from sqlalchemy import insert

from app.domain.admin import AuditEntry
from app.settings import Settings
from app.store import retention
from app.store.retention import DAYS_KEPT, POSITIONS_KEPT_DAYS, Retention
from app.store.store import Store
from app.store.tables import journal_positions
from tests.store.behind import execute
from tests.store.calls import NOON, attempt, request, take

DAY_S = 86_400.0
TABLES = {
    "requests", "attempts", "usage_hours", "hour_totals", "error_hours", "error_totals",
    "usage_days", "day_totals", "journal_positions", "audit",
}  # fmt: skip


class Pause:
    """Counts how often somebody else got a turn."""

    def __init__(self) -> None:
        self.count = 0

    async def __call__(self) -> None:
        """Take a turn."""
        self.count += 1


@pytest.fixture
def pause() -> Pause:
    """No pause yet."""
    return Pause()


@pytest.fixture
def sweeper(store: Store, pause: Pause) -> Retention:
    """The retention of an empty store."""
    return store.retention(pause=pause)


async def ages(settings: Settings, table: str, column: str) -> list[float]:
    """Return how many days old the rows are, oldest first."""
    rows = await execute(settings, f"SELECT {column} FROM {table} ORDER BY {column} DESC")  # noqa: S608 - our own names
    return sorted({round((NOON - float(at)) / DAY_S) for (at,) in rows}, reverse=True)


async def called(store: Store, *days_ago: int) -> None:
    """Let the store take one failed call of each of these days."""
    for days in days_ago:
        at = NOON - days * DAY_S
        await take(store, [attempt(days, at=at)], [request(days, at=at, code="pool_busy")])


async def test_each_table_keeps_its_own_time(
    store: Store, sweeper: Retention, settings: Settings
) -> None:
    """Single calls for the shortest time, sums by days for the longest; each to the day."""
    await called(store, 0, 29, 31, 89, 91, DAYS_KEPT - 1, DAYS_KEPT + 1)
    swept = await sweeper.sweep(NOON, log_days=30, hours_days=90, audit_days=365)
    for table in ("requests", "attempts"):
        assert await ages(settings, table, "at") == [29, 0]
    for table in ("usage_hours", "hour_totals", "error_hours", "error_totals"):
        assert await ages(settings, table, "start") == [89, 31, 29, 0]
    for table in ("usage_days", "day_totals"):
        days = await execute(settings, f"SELECT count(DISTINCT start) FROM {table}")  # noqa: S608 - the same
        assert days == [(6,)]
    assert swept.complete
    assert swept.rows == {
        "requests": 5, "attempts": 5, "usage_hours": 3, "hour_totals": 12, "error_hours": 3,
        "error_totals": 12, "usage_days": 1, "day_totals": 4, "journal_positions": 0,
        "audit": 0,
    }  # fmt: skip


async def test_places_of_the_journal_outlive_every_row(
    store: Store, sweeper: Retention, settings: Settings
) -> None:
    """A quiet worker's segment is written to for weeks; what it held must not be taken again."""
    async with store._database.append() as connection:
        for name, days in (("old", POSITIONS_KEPT_DAYS + 1), ("new", POSITIONS_KEPT_DAYS - 1)):
            values = {"segment": name, "offset": 1, "done_at": NOON - days * DAY_S}
            await connection.execute(insert(journal_positions).values(values))
    swept = await sweeper.sweep(NOON, log_days=1, hours_days=3, audit_days=365)
    assert swept.rows["journal_positions"] == 1
    assert await execute(settings, "SELECT segment FROM journal_positions") == [("new",)]


async def test_the_audit_log_is_kept_for_days_of_its_own(
    store: Store, sweeper: Retention, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who changed what is told for as long as the operator wants; the first noted go first."""
    monkeypatch.setattr(retention, "BATCH_ROWS", 3)
    for days in (500, 400, 380, 370, 20, 10):
        at = NOON - days * DAY_S
        await store.audit.note(AuditEntry(at, "admin", "", "", "key.create", "", "null", "null"))
    swept = await sweeper.sweep(NOON, log_days=1, hours_days=3, audit_days=365)
    assert swept.rows["audit"] == 4
    assert await ages(settings, "audit", "at") == [20, 10]


async def test_a_sweep_is_bounded_and_the_next_one_goes_on(
    store: Store,
    sweeper: Retention,
    settings: Settings,
    pause: Pause,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The oldest go first, so many at a time with a pause between, and it says what is left."""
    monkeypatch.setattr(retention, "BATCH_ROWS", 3)
    monkeypatch.setattr(retention, "BATCHES_MAX", 2)
    rows = [request(n, at=NOON - (40 + n) * DAY_S) for n in range(10)]
    await take(store, [], rows)
    swept = await sweeper.sweep(NOON, log_days=30, hours_days=1_000, audit_days=365)
    assert (swept.rows["requests"], swept.complete, pause.count) == (6, False, 2)
    assert await ages(settings, "requests", "at") == [43, 42, 41, 40]
    swept = await sweeper.sweep(NOON, log_days=30, hours_days=1_000, audit_days=365)
    assert (swept.rows["requests"], swept.complete) == (4, True)
    swept = await sweeper.sweep(NOON, log_days=30, hours_days=1_000, audit_days=365)
    assert swept.rows == dict.fromkeys(TABLES, 0)


async def test_nothing_is_too_old_in_an_empty_store(sweeper: Retention, pause: Pause) -> None:
    """Every table is looked at, and nobody is kept waiting."""
    swept = await sweeper.sweep(NOON, log_days=1, hours_days=3, audit_days=365)
    assert (swept.rows, swept.complete) == (dict.fromkeys(TABLES, 0), True)
    assert pause.count == 0


async def test_a_sweep_passes_over_what_another_one_is_deleting(
    postgres_settings: Settings, pause: Pause
) -> None:
    """On Postgres two processes may sweep at once; neither waits for the other."""
    async with Store.open(postgres_settings) as store:
        await take(store, [], [request(n, at=NOON - 40 * DAY_S) for n in range(3)])
        async with store._database.append() as connection:
            locked = "SELECT uid FROM requests ORDER BY uid LIMIT 2 FOR UPDATE"
            await connection.exec_driver_sql(locked)
            swept = await store.retention(pause=pause).sweep(
                NOON, log_days=30, hours_days=90, audit_days=365
            )
        assert swept.rows["requests"] == 1
