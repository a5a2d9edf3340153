"""The text of statements that insert many rows at once, past SQLAlchemy's handling of each value.

Names come from our own tables only, never from outside. How the values are handed over differs
from database to database and stands in `app.store.sqlite` and `app.store.postgres`.
"""

from functools import cache

from sqlalchemy import Table


@cache
def columns(table: Table) -> str:
    """Return the names of all columns, as a list in SQL."""
    return ", ".join(f'"{column.name}"' for column in table.columns)


@cache
def key(table: Table) -> str:
    """Return the names of the columns of the primary key, as a list in SQL."""
    return ", ".join(f'"{column.name}"' for column in table.primary_key)


@cache
def adding(table: Table) -> str:
    """Return the clause that adds the values of a row to those of the row with its key."""
    sums = ", ".join(
        f'"{column.name}" = {table.name}."{column.name}" + excluded."{column.name}"'
        for column in table.columns
        if not column.primary_key
    )
    return f"ON CONFLICT ({key(table)}) DO UPDATE SET {sums}"
