"""Changes and reads a database behind the store's back, whichever of the two it is."""

from typing import Any

from sqlalchemy import select, text

from app.settings import Settings
from app.store.store import database_of
from app.store.tables import metadata


async def execute(settings: Settings, statement: str, **values: object) -> list[tuple[Any, ...]]:
    """Execute a statement and return its rows, if it has any."""
    database = database_of(settings)
    try:
        async with database.write(announce=False) as connection:
            done = await connection.execute(text(statement), values)
            return [tuple(row) for row in done] if done.returns_rows else []
    finally:
        await database.close()


async def everything(settings: Settings) -> bytes:
    """Return every value of every row, one after the other."""
    database = database_of(settings)
    found = bytearray()
    try:
        async with database.read() as connection:
            for table in metadata.sorted_tables:
                for row in await connection.execute(select(table)):
                    for value in row:
                        found += value if isinstance(value, bytes) else str(value).encode()
    finally:
        await database.close()
    return bytes(found)
