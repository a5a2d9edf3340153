"""Tests of app.store.bulk."""

from sqlalchemy import Column, Integer, MetaData, Table

from app.store.bulk import adding, columns, key

SUMS = Table(
    "sums",
    MetaData(),
    Column("start", Integer, primary_key=True),
    Column("id", Integer, primary_key=True),
    Column("calls", Integer),
    Column("tokens", Integer),
)


def test_columns_are_named_in_the_order_of_the_table():
    """Quoted, as some of our names are words of SQL."""
    assert columns(SUMS) == '"start", "id", "calls", "tokens"'
    assert key(SUMS) == '"start", "id"'


def test_a_row_that_is_there_is_added_to():
    """All but the key grows by what comes."""
    assert adding(SUMS) == (
        'ON CONFLICT ("start", "id") DO UPDATE SET '
        '"calls" = sums."calls" + excluded."calls", '
        '"tokens" = sums."tokens" + excluded."tokens"'
    )
