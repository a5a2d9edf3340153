"""What any test may ask for: a real Postgres and a real Redis, started when first asked for."""

from collections.abc import Iterator

import pytest

from tests.servers import PostgresServer, RedisServer, program

MISSING = "no {} on this machine: install it to run this test"


@pytest.fixture(scope="session")
def postgres(tmp_path_factory) -> Iterator[PostgresServer]:
    """A running Postgres; whoever kills or freezes it must bring it back."""
    if program("postgres") is None or program("initdb") is None:
        pytest.skip(MISSING.format("Postgres"))
    server = PostgresServer(tmp_path_factory.mktemp("postgres"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory) -> Iterator[RedisServer]:
    """A running Redis; whoever kills or freezes it must bring it back."""
    if program("redis-server") is None:
        pytest.skip(MISSING.format("Redis"))
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def postgres_url(postgres) -> str:
    """The URL of an empty database."""
    return postgres.database()
