"""The operator's runtime settings: one row, one JSON document, replaced as a whole."""

import msgspec
from sqlalchemy import insert, select, update

from app.domain.runtime import RuntimeSettings
from app.errors import StateError
from app.store.engine import Database
from app.store.tables import settings

_ROW = 1

_decoder = msgspec.json.Decoder(RuntimeSettings)


class StoredSettings:
    """The row of `settings`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> RuntimeSettings:
        """Return the settings; defaults where the operator never chose.

        Raises:
            StateError: The row holds values that this version can't use.
        """
        query = select(settings.c.document).where(settings.c.id == _ROW)
        async with self._database.read() as connection:
            document = (await connection.execute(query)).scalar_one_or_none()
        if document is None:
            return RuntimeSettings()
        try:
            return _decoder.decode(document)
        except msgspec.DecodeError as error:
            raise StateError(f"The stored settings can't be used: {error}.") from error

    async def save(self, value: RuntimeSettings, *, at: float) -> None:
        """Replace the settings; running gateways take them over within seconds."""
        document = msgspec.json.encode(value).decode()
        async with self._database.write() as connection:
            change = update(settings).where(settings.c.id == _ROW)
            values = {"document": document, "updated_at": at}
            if not (await connection.execute(change.values(values))).rowcount:
                await connection.execute(insert(settings).values(id=_ROW, **values))
