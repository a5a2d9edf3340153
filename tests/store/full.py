"""Databases with something in every kind of row, and ways to look at two of them."""

from pathlib import Path

from msgspec import structs
from sqlalchemy import select

from app.domain.account import Secret
from app.domain.enrolment import Enrolment
from app.domain.runtime import RuntimeSettings
from app.settings import Settings
from app.store.copying import Progress
from app.store.store import Store, database_of
from app.store.tables import metadata, revision
from tests.store.calls import ATTEMPT, NOON, REQUEST, StillClock

KEYS = ("o" * 32,)
SILENT = Progress(total=lambda _steps: None, done=lambda _steps: None)


async def fill(settings: Settings) -> None:
    """Put accounts with a proxy, a key, settings and a call into a database."""
    async with Store.open(settings) as store:
        for number in range(3):
            new = Enrolment(
                name=f"account {number}",
                access_token=Secret(f"access {number}"),
                refresh_token=Secret(f"refresh {number}"),
                proxy_url=Secret("http://user:password@proxy.example"),
                expires_at=0.1 + number,
            )
            await store.accounts.add(new, at=NOON)
        await store.keys.create(name="key", at=1.0, key=Secret("the-key-of-a-caller"))
        await store.settings.save(RuntimeSettings(pause_at=0.9), at=1.0)
        ledger = store.ledger(StillClock())
        await ledger.take([ATTEMPT], [REQUEST], segment="s/1", offset=100)


async def rows(settings: Settings) -> dict[str, list[tuple[object, ...]]]:
    """Return all rows but the revision, by their tables, in the order of their keys."""
    database = database_of(settings)
    found = {}
    try:
        async with database.read() as connection:
            for table in metadata.sorted_tables:
                query = select(table).order_by(*table.primary_key.columns)
                if table is not revision:
                    found[table.name] = [tuple(row) for row in await connection.execute(query)]
    finally:
        await database.close()
    return found


async def opens(settings: Settings) -> None:
    """Check that every secret opens and that the caller's key is known."""
    async with Store.open(settings) as store:
        accounts = await store.accounts.list()
        tokens = [await store.accounts.export(each.id, at=2.0) for each in accounts]
        opened = {each["refresh_token"].reveal() for each in tokens}
        assert opened == {f"refresh {number}" for number in range(3)}
        assert all(each.proxy_url for each in accounts)
        book = store.key_book()
        book.replace(await store.keys.list())
        assert book.find("the-key-of-a-caller").name == "key"


def with_keys(settings: Settings, *keys: str, folder: Path | None = None) -> Settings:
    """Return the settings with a keyring, and in another folder if one is given."""
    return structs.replace(settings, secret_keys=keys, data_dir=folder or settings.data_dir)
