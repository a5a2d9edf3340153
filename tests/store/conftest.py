"""Real databases, a new one for each test; a test that asks for `settings` runs on both kinds."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import pytest

from app.settings import Driver, Limits, Settings
from app.store.engine import Database
from app.store.store import Store, database_of, upgrade_schema
from tests.servers import PostgresServer

KEY = "0123456789abcdef0123456789abcdef"
LIMITS = Limits(
    store_busy_timeout_s=0.2,
    store_lock_timeout_s=0.2,
    account_events_max=5,
    accounts_max=4,
    keys_max=4,
)


@pytest.fixture
def new_sqlite_settings(tmp_path: Path) -> Settings:
    """Settings of a file that does not exist yet, beside which a key file will be made."""
    return Settings(data_dir=tmp_path / "data", limits=LIMITS)


@pytest.fixture
def sqlite_settings(new_sqlite_settings: Settings, sqlite_template: Path) -> Settings:
    """Settings of a file with all tables and nothing in them."""
    new_sqlite_settings.data_dir.mkdir(mode=0o700)
    shutil.copy(sqlite_template, new_sqlite_settings.sqlite_path)
    new_sqlite_settings.sqlite_path.chmod(0o600)
    return new_sqlite_settings


@pytest.fixture
def new_postgres_settings(postgres, tmp_path: Path) -> Iterator[Settings]:
    """Settings of an empty database."""
    name = _made(postgres)
    yield _on_postgres(postgres.url(name), tmp_path)
    _dropped(postgres, name)


@pytest.fixture
def postgres_settings(postgres, postgres_template: str, tmp_path: Path) -> Iterator[Settings]:
    """Settings of a database with all tables and nothing in them."""
    name = _made(postgres, f"TEMPLATE {postgres_template} STRATEGY FILE_COPY")
    yield _on_postgres(postgres.url(name), tmp_path)
    _dropped(postgres, name)


@pytest.fixture(params=[Driver.SQLITE, Driver.POSTGRES])
def new_settings(request: pytest.FixtureRequest) -> Settings:
    """Settings of a database without any table, of either kind."""
    return request.getfixturevalue(f"new_{request.param}_settings")


@pytest.fixture(params=[Driver.SQLITE, Driver.POSTGRES])
def settings(request: pytest.FixtureRequest) -> Settings:
    """Settings of a database with all tables and nothing in them, of either kind."""
    return request.getfixturevalue(f"{request.param}_settings")


@pytest.fixture
async def store(settings: Settings) -> AsyncIterator[Store]:
    """An open store with nothing in it."""
    async with Store.open(settings) as store:
        yield store


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    """An open database with all tables and nothing in them."""
    database = database_of(settings)
    yield database
    await database.close()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with all tables, to be copied."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("template"))
    asyncio.run(upgrade_schema(settings))
    return settings.sqlite_path


@pytest.fixture(scope="session")
def postgres_template(postgres, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a database with all tables, to be copied."""
    name = _made(postgres)
    settings = _on_postgres(postgres.url(name), tmp_path_factory.mktemp("template"))
    asyncio.run(upgrade_schema(settings))
    return name


_numbers = count(1)


def _made(postgres: PostgresServer, how: str = "") -> str:
    """Make a database and return its name."""
    name = f"store_{os.getpid()}_{next(_numbers)}"
    asyncio.run(postgres._execute(f"CREATE DATABASE {name} {how}"))
    return name


def _dropped(postgres: PostgresServer, name: str) -> None:
    asyncio.run(postgres._execute(f"DROP DATABASE {name} WITH (FORCE)"))


def _on_postgres(url: str, folder: Path) -> Settings:
    return Settings(
        database_driver=Driver.POSTGRES,
        database_url=url,
        secret_keys=(KEY,),
        data_dir=folder / "data",
        limits=LIMITS,
    )
