"""Tests of app.store.schema."""

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine

import app
from app.settings import Settings
from app.store.schema import MIGRATIONS, NewerSchema, upgrade
from app.store.store import Store, upgrade_schema
from app.store.tables import metadata

START = """
import asyncio, sys
from pathlib import Path
from app.settings import Settings
from app.store.store import Store
async def main():
    async with Store.open(Settings(data_dir=Path(sys.argv[1]))) as store:
        await store.revision()
asyncio.run(main())
"""


async def test_the_steps_lead_to_the_tables(settings: Settings) -> None:
    """What `tables` says and what the migrations build is the same, to the last column."""
    await upgrade_schema(settings)
    engine = create_engine(f"sqlite:///{settings.sqlite_path}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        difference = compare_metadata(context, metadata)
    engine.dispose()
    assert difference == []


async def test_an_upgrade_is_done_once(settings: Settings) -> None:
    """The second run finds nothing to do."""
    assert await upgrade_schema(settings) is True
    assert await upgrade_schema(settings) is False
    assert not settings.key_file.exists()


async def test_a_newer_schema_is_refused_and_left_alone(settings: Settings) -> None:
    """An older version must not write what a newer one has made."""
    async with Store.open(settings):
        pass
    with sqlite3.connect(settings.sqlite_path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    before = settings.sqlite_path.read_bytes()
    with pytest.raises(NewerSchema, match="9999"):
        async with Store.open(settings):
            pass
    assert settings.sqlite_path.read_bytes() == before


async def test_two_starts_at_once_migrate_once(settings: Settings) -> None:
    """Two processes start on an empty folder: both come up, with one schema and one key."""
    start = [sys.executable, "-c", START, str(settings.data_dir)]
    both = await asyncio.gather(*(asyncio.to_thread(subprocess.run, start) for _ in range(2)))
    assert [each.returncode for each in both] == [0, 0]
    async with Store.open(settings) as store:
        assert await store.revision() == 1


def test_the_steps_travel_inside_the_package() -> None:
    """An installed wheel holds everything below `app`, so the steps must lie there."""
    assert MIGRATIONS.is_relative_to(Path(app.__file__).parent)
    assert (MIGRATIONS / "env.py").exists()
    assert list((MIGRATIONS / "versions").glob("*.py"))


def test_an_upgrade_works_on_any_connection(tmp_path: Path) -> None:
    """The steps run on the connection that they are given and open none."""
    engine = create_engine(f"sqlite:///{tmp_path / '100%.db'}")
    with engine.begin() as connection:
        assert upgrade(connection)
    engine.dispose()
