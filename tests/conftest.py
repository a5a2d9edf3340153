"""What any test may ask for: a real Postgres and a real Redis, started when first asked for."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import PostgresServer, RedisServer, program

MISSING = "no {} on this machine: install it to run this test"


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A running Postgres; whoever kills or freezes it must bring it back."""
    if program("postgres") is None or program("initdb") is None:
        pytest.skip(MISSING.format("Postgres"))
    # Not in pytest's own folder: every new session closes that one to all but its owner, and as
    # root this server runs as somebody else.
    folder = Path(tempfile.mkdtemp(prefix="codex2api-postgres-"))
    server = PostgresServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


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
