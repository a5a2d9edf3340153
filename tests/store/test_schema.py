"""Tests of app.store.schema."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text
from sqlalchemy.engine import Connection

import app
from app.settings import Settings
from app.store.engine import Database
from app.store.schema import HEAD, MIGRATIONS, NewerSchema, upgrade
from app.store.store import Store, database_of, upgrade_schema
from app.store.tables import metadata
from tests.store.behind import everything, execute

START = """
import asyncio, sys
from pathlib import Path
from app.settings import Driver, Limits, Settings
from app.store.store import Store
_, driver, url, folder, key = sys.argv
settings = Settings(
    database_driver=Driver(driver),
    database_url=url or None,
    data_dir=Path(folder),
    secret_keys=(key,) if key else (),
)
async def main():
    async with Store.open(settings) as store:
        await store.revision()
asyncio.run(main())
"""


def _upgrade_to(connection: Connection, step: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, step)


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(
        connection, opts={"compare_type": True, "compare_server_default": True}
    )
    return list(compare_metadata(context, metadata))


async def test_the_steps_lead_to_the_tables(database: Database) -> None:
    """What `tables` says and what the migrations build is the same, to the last column."""
    async with database.read() as connection:
        assert await connection.run_sync(_differences) == []


ACCOUNT = (
    "INSERT INTO accounts (id, identity, name, kind, fedramp, enabled, priority,"
    " concurrency_max, models, created_at)"
    " VALUES (:id, :id, 'a', 'codex', false, true, 0, 32, '[]', 1)"
)
KEY = (
    "INSERT INTO keys (id, name, digest, pepper, tail, enabled, models, created_at)"
    " VALUES (:id, 'k', :digest, 1, '', true, '[]', 1)"
)
EVENT = "INSERT INTO account_events (account_id, at, kind, detail) VALUES (:id, 1, 'k', '')"


async def test_rows_of_the_first_step_get_defaults(new_settings: Settings) -> None:
    """An upgrade loses no account and no key, and a process of the old version may still write."""
    new_settings.data_dir.mkdir()
    database = database_of(new_settings)
    for step, name in (("0001", "before"), ("0002", "between"), ("0003", "after")):
        async with database.write(announce=False) as connection:
            await connection.run_sync(_upgrade_to, step)
            await connection.execute(text(ACCOUNT), {"id": name})
            await connection.execute(text(KEY), {"id": name, "digest": name.encode()})
            await connection.execute(text(EVENT), {"id": name})
    await database.close()

    async def found(query: str) -> set[tuple[object, ...]]:
        rows = await execute(new_settings, query)
        assert len(rows) == 3
        return set(rows)

    assert await found("SELECT groups, tags, pause_at FROM accounts") == {("[]", "[]", None)}
    assert await found("SELECT code, next_at, count FROM account_events") == {(None, None, 1)}
    keys = "SELECT groups, tags, endpoints, networks, day_nusd, concurrency_max FROM keys"
    assert await found(keys) == {("[]", "[]", "[]", "[]", None, None)}


async def test_an_upgrade_is_done_once(new_settings: Settings) -> None:
    """The second run finds nothing to do."""
    assert await upgrade_schema(new_settings) is True
    assert await upgrade_schema(new_settings) is False
    assert not new_settings.key_file.exists()


async def test_a_newer_schema_is_refused_and_left_alone(settings: Settings) -> None:
    """An older version must not write what a newer one has made."""
    async with Store.open(settings):
        pass
    await execute(settings, "UPDATE alembic_version SET version_num = '9999'")
    before = await everything(settings)
    with pytest.raises(NewerSchema, match="9999"):
        async with Store.open(settings):
            pass
    with pytest.raises(NewerSchema, match="9999"):
        await upgrade_schema(settings)
    assert await everything(settings) == before


async def test_two_starts_at_once_migrate_once(new_settings: Settings) -> None:
    """Two processes start on nothing at all: both come up, with one schema and one key."""
    address = new_settings.database_url or ""
    key = next(iter(new_settings.secret_keys), "")
    start = [sys.executable, "-c", START, new_settings.database_driver, address]
    start += [str(new_settings.data_dir), key]
    both = await asyncio.gather(*(asyncio.to_thread(subprocess.run, start) for _ in range(2)))
    assert [each.returncode for each in both] == [0, 0]
    async with Store.open(new_settings) as store:
        assert await store.revision() == 1
    assert await execute(new_settings, "SELECT count(*) FROM sealed") == [(2,)]


def test_the_steps_travel_inside_the_package() -> None:
    """An installed wheel holds everything below `app`, so the steps must lie there."""
    assert MIGRATIONS.is_relative_to(Path(app.__file__).parent)
    assert (MIGRATIONS / "env.py").exists()
    assert list((MIGRATIONS / "versions").glob("*.py"))


def test_the_head_is_the_last_step() -> None:
    """Whoever adds a step moves it, or no start would notice the step."""
    assert ScriptDirectory(str(MIGRATIONS)).get_heads() == [HEAD]


def test_an_upgrade_works_on_any_connection(tmp_path: Path) -> None:
    """The steps run on the connection that they are given and open none."""
    engine = create_engine(f"sqlite:///{tmp_path / '100%.db'}")
    with engine.begin() as connection:
        assert upgrade(connection)
    engine.dispose()
