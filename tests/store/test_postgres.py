"""Tests of app.store.postgres: what is about a server on the other end of a connection."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest
from msgspec import structs
from sqlalchemy import text

from app.errors import StateError
from app.settings import Driver, Settings
from app.store import postgres as shell
from app.store.postgres import PostgresDatabase, address
from app.store.store import Store, database_name, database_of
from tests.servers import PostgresServer
from tests.store.behind import execute

PATIENCE_S = 60.0
"""What a test waits for an error that comes after seconds; only a wait without an end is longer."""


@pytest.fixture
def settings(postgres_settings: Settings) -> Settings:
    """Only this kind of database."""
    return postgres_settings


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[PostgresDatabase]:
    """An open database with all tables and nothing in them."""
    database = database_of(settings)
    yield database
    await database.close()


@pytest.fixture
def frozen(postgres: PostgresServer) -> Iterator[PostgresServer]:
    """The server, which answers again after the test whatever was done to it."""
    yield postgres
    postgres.thaw()


@pytest.fixture
def killed(postgres: PostgresServer) -> Iterator[PostgresServer]:
    """The server, which runs again after the test."""
    yield postgres
    if postgres.process is None or postgres.process.poll() is not None:
        postgres.start()


def at(settings: Settings, url: str) -> Settings:
    """Return the settings with another address."""
    return structs.replace(settings, database_url=url)


async def refusal(settings: Settings) -> str:
    """Return what a start says that can't be."""
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(StateError) as caught:
            async with Store.open(settings):
                pytest.fail("it was opened")
    assert "hidden" not in caught.value.message
    return caught.value.message


async def value(database: PostgresDatabase, query: str) -> object:
    """Return the only value of a query."""
    async with asyncio.timeout(PATIENCE_S), database.read() as connection:
        return (await connection.execute(text(query))).scalar_one()


async def test_a_missing_database_is_told_by_its_name(
    settings: Settings, postgres: PostgresServer
) -> None:
    """The remedy is to create it."""
    message = await refusal(at(settings, postgres.url("nowhere")))
    assert "has no database 'nowhere': create it" in message


async def test_an_unknown_user_and_a_wrong_password_are_told(
    settings: Settings, postgres: PostgresServer
) -> None:
    """Both name the variables to look at, and never the password."""
    host = f"127.0.0.1:{postgres.port}/postgres"
    message = await refusal(at(settings, f"postgresql://stranger:hidden@{host}"))
    assert "refuses the user 'stranger': check DATABASE_USER and DATABASE_PASSWORD" in message
    await execute(settings, "DROP ROLE IF EXISTS guarded")
    await execute(settings, "CREATE ROLE guarded LOGIN PASSWORD 'right'")
    rules = postgres.folder / "data" / "pg_hba.conf"
    before = rules.read_text()
    try:
        rules.write_text(f"host all guarded 127.0.0.1/32 scram-sha-256\n{before}")
        await execute(settings, "SELECT pg_reload_conf()")
        message = await refusal(at(settings, f"postgresql://guarded:hidden@{host}"))
    finally:
        rules.write_text(before)
        await execute(settings, "SELECT pg_reload_conf()")
    assert "refuses the user 'guarded': check DATABASE_USER and DATABASE_PASSWORD" in message


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("127.0.0.1:1/d", "Postgres at 127.0.0.1:1/d can't be reached"),
        ("name.invalid/d", "Postgres at name.invalid:5432/d can't be reached"),
        ("127.0.0.1:1/d?sslmode=strict", "`sslmode` parameter must be one of"),
    ],
    ids=["port", "name", "mode"],
)
async def test_an_address_that_leads_nowhere_is_told(
    settings: Settings, place: str, said: str
) -> None:
    """With the place that was tried, and what the network said."""
    assert said in await refusal(at(settings, f"postgresql://u:hidden@{place}"))


async def test_a_server_without_tls_is_told_if_tls_is_asked_for(settings: Settings) -> None:
    """`DATABASE_SSLMODE` counts where the URL says nothing, and the URL where it does."""
    strict = structs.replace(settings, database_sslmode="require")
    assert "rejected SSL upgrade" in await refusal(strict)
    async with Store.open(at(strict, f"{settings.database_url}?sslmode=disable")):
        pass


async def test_an_address_in_parts_is_as_good_as_a_url(
    settings: Settings, postgres: PostgresServer
) -> None:
    """Both lead to the same database and are shown alike, without the user."""
    name = settings.database_url.rpartition("/")[2]
    parts = Settings(
        database_driver=Driver.POSTGRES,
        database_host="127.0.0.1",
        database_port=postgres.port,
        database_user=PostgresServer.USER,
        database_password="hidden",
        database_name=name,
        secret_keys=settings.secret_keys,
    )
    async with Store.open(parts) as store:
        shown = f"127.0.0.1:{postgres.port}/{name}"
        assert store._database.name == database_name(settings) == shown
    assert address(at(settings, "postgresql://u@h")).shown == "h:5432/u"


async def test_a_role_that_may_only_read_is_told(settings: Settings) -> None:
    """The right that is missing is in the message."""
    await execute(settings, "DROP ROLE IF EXISTS reader")
    await execute(settings, "CREATE ROLE reader LOGIN")
    await execute(settings, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
    url = settings.database_url.replace(PostgresServer.USER, "reader")
    message = await refusal(at(settings, url))
    await execute(settings, "DROP OWNED BY reader")
    assert "denies the user 'reader' a right that is needed: permission denied" in message


async def test_a_standby_is_told_from_a_primary(settings: Settings) -> None:
    """A server that is read only can't be written, and says where to go."""
    url = f"{settings.database_url}?default_transaction_read_only=on"
    assert "is read only, as a standby is: name the primary" in await refusal(at(settings, url))


async def test_a_server_without_a_free_connection_is_told(settings: Settings) -> None:
    """Its limit is reached by others; the remedy is a higher one or fewer processes."""
    name = settings.database_url.rpartition("/")[2]
    await execute(settings, "DROP ROLE IF EXISTS crowded")
    await execute(settings, "CREATE ROLE crowded LOGIN CONNECTION LIMIT 0")
    url = settings.database_url.replace(PostgresServer.USER, "crowded")
    message = await refusal(at(settings, url))
    await execute(settings, "DROP ROLE crowded")
    assert "has no connection left" in message
    assert name in message


async def test_a_frozen_server_is_an_error_after_seconds(
    settings: Settings, frozen: PostgresServer
) -> None:
    """It takes connections and answers nothing; a start does not wait for ever."""
    frozen.freeze()
    assert "does not answer in time" in await refusal(settings)


async def test_a_server_that_freezes_later_is_an_error_and_comes_back(
    settings: Settings, frozen: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An open connection gives up too, and once the server answers, so do we."""
    monkeypatch.setattr(shell, "COMMAND_TIMEOUT_S", 0.5)
    database = PostgresDatabase(address(settings))
    try:
        assert await value(database, "SELECT 1") == 1
        frozen.freeze()
        with pytest.raises(StateError, match="does not answer in time"):
            await value(database, "SELECT 2")
        frozen.thaw()
        assert await value(database, "SELECT 3") == 3
    finally:
        await database.close()


async def test_the_connections_heal_after_a_crash(
    database: PostgresDatabase, killed: PostgresServer
) -> None:
    """While the server is away every call says so; once it is back the next one works."""
    assert await value(database, "SELECT 1") == 1
    await asyncio.to_thread(killed.kill)
    for _ in range(2):
        with pytest.raises(StateError, match="can't be reached"):
            await value(database, "SELECT 2")
    await asyncio.to_thread(killed.start)
    assert await value(database, "SELECT 3") == 3


async def test_a_connection_that_was_cut_is_replaced(
    settings: Settings, database: PostgresDatabase
) -> None:
    """An idle connection that a firewall or an operator ended is noticed before it is used."""
    one = await value(database, "SELECT pg_backend_pid()")
    await execute(settings, "SELECT pg_terminate_backend(:pid)", pid=one)
    assert await value(database, "SELECT 1") == 1


async def test_a_start_that_another_one_keeps_waiting_says_so(
    settings: Settings, database: PostgresDatabase
) -> None:
    """Preparing has one holder; the second gives up after its time, with the database's name."""
    async with database.prepare(timeout_s=5.0):
        message = await refusal(settings)
    assert message.startswith(f"Another process has been preparing the database {database.name}")


async def test_another_error_while_preparing_is_told_as_it_is(
    database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a lock that is held is somebody else's doing."""
    monkeypatch.setattr(shell, "_TURN", "no number")
    with pytest.raises(StateError, match="can't be used"):
        async with database.prepare(timeout_s=5.0):
            pytest.fail("it was prepared")


async def test_a_write_waits_for_its_turn_and_then_says_so(
    settings: Settings, database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another process holds for too long is its fault, not this statement's."""
    monkeypatch.setattr(shell, "COMMAND_TIMEOUT_S", 0.3)
    impatient = PostgresDatabase(address(settings))
    try:
        async with database.write():
            with pytest.raises(StateError, match=r"Another process holds|not answer in time"):
                async with impatient.write():
                    pytest.fail("it got a turn")
            async with impatient.append() as connection:
                await connection.execute(text("SELECT 1"))
        async with impatient.write():
            pass
    finally:
        await impatient.close()


def test_what_the_server_says_is_told_without_its_details(settings: Settings) -> None:
    """Details quote rows; and a full disk has its own words."""
    database = PostgresDatabase(address(settings))
    error = asyncpg.UniqueViolationError("twice.\nDETAIL:  Key (name)=(hidden) exists")
    assert database.explain(error).endswith("can't be used: twice.")
    assert "disk of Postgres at" in database.explain(asyncpg.DiskFullError("no space"))


async def test_processes_are_counted_by_their_sessions(settings: Settings) -> None:
    """Each once, whatever sessions it has, and not any more when it is gone."""
    async with Store.open(settings) as one:
        assert await one.processes() == 1
        async with Store.open(settings) as two, one._database.read(), one._database.read():
            assert await one.processes() == await two.processes() == 2
        async with asyncio.timeout(PATIENCE_S):
            while await one.processes() > 1:  # noqa: ASYNC110 - a session ends some time later
                await asyncio.sleep(0.01)
