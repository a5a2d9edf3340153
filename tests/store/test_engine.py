"""Tests of app.store.engine: what any database does, whichever it is."""

import asyncio

import pytest
from sqlalchemy import insert, select, text

from app.errors import StateError
from app.settings import Settings
from app.store.engine import Database
from app.store.store import Store
from app.store.tables import day_totals, journal_positions
from tests.store.behind import execute

PLACES = 'SELECT segment, "offset" FROM journal_positions ORDER BY segment'


async def test_a_reader_cannot_write(store: Store) -> None:
    """A write that forgot its turn fails at once, in any test."""
    with pytest.raises(StateError):
        async with store._database.read() as connection:
            await connection.execute(text("DELETE FROM keys"))


async def test_an_error_undoes_the_whole_write(store: Store) -> None:
    """Half a write is never seen, and neither is its revision."""
    before = await store.revision()

    async def break_off() -> None:
        async with store._database.write() as connection:
            await connection.execute(text("UPDATE revision SET value = value + 10"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await break_off()
    assert await store.revision() == before


async def test_only_a_write_that_others_must_see_is_announced(store: Store) -> None:
    """Rows that are appended are nobody's news."""
    before = await store.revision()
    async with store._database.append() as connection:
        await connection.execute(insert(journal_positions).values(segment="s", offset=1, done_at=1))
    async with store._database.write(announce=False):
        pass
    assert await store.revision() == before
    async with store._database.write():
        pass
    assert await store.revision() == before + 1


async def test_writers_take_turns(store: Store, settings: Settings) -> None:
    """What one of them read is still true when it writes, in this process and from another."""

    async def add_one(database: Database) -> None:
        async with database.write(announce=False) as connection:
            value = (await connection.execute(text("SELECT value FROM revision"))).scalar_one()
            await asyncio.sleep(0)
            await connection.execute(text("UPDATE revision SET value = :v"), {"v": value + 1})

    before = await store.revision()
    async with Store.open(settings) as other:
        both = [store._database, other._database]
        await asyncio.gather(*(add_one(database) for database in both * 3))
    assert await store.revision() == before + 6


async def test_a_reader_does_not_wait_for_a_writer(store: Store) -> None:
    """It sees the rows as they were, also after the writer has committed."""
    before = await store.revision()
    async with store._database.read() as connection:
        seen = text("SELECT value FROM revision")
        assert (await connection.execute(seen)).scalar_one() == before
        async with store._database.write():
            pass
        assert (await connection.execute(seen)).scalar_one() == before
    assert await store.revision() == before + 1


async def test_any_error_of_the_driver_is_translated(store: Store) -> None:
    """No exception of a library crosses the store's border."""
    with pytest.raises(StateError, match="unknown_table"):
        async with store._database.read() as connection:
            await connection.execute(text("SELECT * FROM unknown_table"))


def test_what_is_no_error_of_the_driver_passes(database: Database) -> None:
    """Only errors that belong to a database are translated."""
    with pytest.raises(LookupError), database.translated():
        raise LookupError


async def test_only_new_rows_are_inserted(database: Database, settings: Settings) -> None:
    """A row that is there stays as it is, and it is told which ones were not."""
    for rows, new in (
        ([("a", 1, 1.0), ("b", 2, 2.0)], {("a",), ("b",)}),
        ([("b", 9, 9.0), ("c", 3, 3.0)], {("c",)}),
        ([("c", 9, 9.0)], set()),
        ([], set()),
    ):
        async with database.append() as connection:
            assert await database.insert_new(connection, journal_positions, rows) == new
    assert await execute(settings, PLACES) == [("a", 1), ("b", 2), ("c", 3)]


async def test_sums_grow_row_by_row(database: Database) -> None:
    """A key that is new gets its row, one that is there gets the sum."""
    figures = (1,) * (len(day_totals.columns) - 3)
    for ids in (["a", "b"], ["b", "c"], []):
        async with database.append() as connection:
            rows = [("model", 0, each, *figures) for each in ids]
            await database.add(connection, day_totals, rows)
    async with database.read() as connection:
        query = select(day_totals).order_by(day_totals.c.id)
        found = [tuple(row) for row in await connection.execute(query)]
    assert found == [
        ("model", 0, each, *(count,) * len(figures))
        for each, count in (("a", 1), ("b", 2), ("c", 1))
    ]


@pytest.mark.parametrize("row", [("a", None, 1.0), ("a", 1 << 70, 1.0), ("\ud800", 1, 1.0)])
async def test_a_row_at_fault_is_told(database: Database, row: tuple[object, ...]) -> None:
    """What can't be stored is not the database's fault."""
    errors = []
    async with database.append() as connection:
        try:
            await database.insert_new(connection, journal_positions, [row])
        except Exception as error:  # noqa: BLE001 - each driver has its own
            errors.append(error)
        await connection.rollback()
    assert [database.refuses(error) for error in errors] == [True]


async def test_a_database_at_fault_is_no_fault_of_a_row(
    database: Database, settings: Settings
) -> None:
    """A table that is gone would refuse every row."""
    await execute(settings, "DROP TABLE journal_positions")
    with pytest.raises(StateError) as caught:
        async with database.append() as connection:
            await database.insert_new(connection, journal_positions, [("a", 1, 1.0)])
    cause = caught.value.__cause__
    assert isinstance(cause, Exception)
    assert not database.refuses(cause)
