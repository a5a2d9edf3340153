"""The operator's runtime settings: one row, one JSON document, replaced as a whole.

A document may be older or newer than this version. A field that it does not know is passed over,
and a word that it does not know, such as the name of a strategy that is gone, counts as not chosen
and is logged: a gateway that serves by its default is better than one that does not start. A
number out of bounds is refused, because no version has ever written it.
"""

import logging
from collections.abc import Callable

import msgspec
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.runtime import RuntimeSettings, without_unknown_words
from app.errors import StaleEdit, StateError
from app.store.engine import Database
from app.store.tables import settings

_ROW = 1

logger = logging.getLogger(__name__)


class StoredSettings:
    """The row of `settings`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> RuntimeSettings:
        """Return the settings; defaults where the operator never chose.

        Raises:
            StateError: The row holds values that this version can't use.
        """
        async with self._database.read() as connection:
            return await _loaded(connection)

    async def versioned(self) -> tuple[RuntimeSettings, int]:
        """Return the settings and the number of changes that made them; raises like `load`."""
        async with self._database.read() as connection:
            return await _loaded(connection), await _version(connection)

    async def save(self, value: RuntimeSettings, *, at: float) -> None:
        """Replace the settings; running gateways take them over within seconds."""
        async with self._database.write() as connection:
            await _save(connection, value, at=at)

    async def change(
        self,
        changed: Callable[[RuntimeSettings], RuntimeSettings],
        *,
        at: float,
        version: int | None = None,
    ) -> RuntimeSettings:
        """Replace the settings by what `changed` makes of them, and return that.

        It is one transaction, so of two changes at a time none is lost. What `changed` raises
        comes through; nothing is stored then. `version` is that of the settings which the change
        was decided on, None for any.

        Raises:
            StaleEdit: The settings have another version by now.
            StateError: The row holds values that this version can't use.
        """
        async with self._database.write() as connection:
            if version is not None and await _version(connection) != version:
                raise StaleEdit(
                    "Somebody else has changed the settings meanwhile.", param="version"
                )
            value = changed(await _loaded(connection))
            await _save(connection, value, at=at)
        return value


async def _loaded(connection: AsyncConnection) -> RuntimeSettings:
    query = select(settings.c.document).where(settings.c.id == _ROW)
    document = (await connection.execute(query)).scalar_one_or_none()
    if document is None:
        return RuntimeSettings()
    try:
        fields = msgspec.json.decode(document, type=dict[str, object])
        known, unknown = without_unknown_words(fields)
        value = msgspec.convert(known, RuntimeSettings)
    except msgspec.DecodeError as error:
        raise StateError(
            f"The stored settings can't be used: {error}. Mend the document in the table "
            "`settings`, or delete its row to have the defaults."
        ) from error
    for name, word in unknown.items():
        logger.warning(
            "the stored setting %s is %r, which this version does not know; its default counts",
            name,
            word,
        )
    return value


async def _version(connection: AsyncConnection) -> int:
    query = select(settings.c.version).where(settings.c.id == _ROW)
    return int((await connection.execute(query)).scalar_one_or_none() or 0)


async def _save(connection: AsyncConnection, value: RuntimeSettings, *, at: float) -> None:
    document = msgspec.json.encode(value).decode()
    change = update(settings).where(settings.c.id == _ROW)
    values = {"document": document, "updated_at": at}
    again = change.values(version=settings.c.version + 1, **values)
    if not (await connection.execute(again)).rowcount:
        await connection.execute(insert(settings).values(id=_ROW, version=1, **values))
