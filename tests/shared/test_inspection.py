"""What is said of a Redis that can't be used."""

import pytest
import redis
from redis.exceptions import ConnectionError as Unconnected
from redis.exceptions import NoPermissionError, ResponseError

from app.settings import Driver, Settings
from app.shared.inspection import inspect, place_of, trouble
from tests.servers import free_port


def settings(address: str, **changes) -> Settings:
    """Return settings with that address."""
    return Settings(cache_driver=Driver.REDIS, redis_addr=address, **changes)


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("h:1", "h:1/0"),
        ("redis://u:secret@h/2", "h:6379/2"),
        ("rediss://:secret@h:7", "h:7/0"),
    ],
)
def test_a_place_is_named_without_its_password(address, place) -> None:
    """Host, port and database."""
    assert place_of(settings(address)) == place


async def test_a_good_one_is_good(redis_server) -> None:
    """And nothing was written to it."""
    with redis.Redis(port=redis_server.port) as server:
        server.flushall()
        found = await inspect(settings(redis_server.url))
        assert not found.trouble
        assert found.version
        assert server.dbsize() == 0


async def test_one_that_is_not_there_is_not_reached() -> None:
    """The sentence has the reason, the remedy the names to look at."""
    found = await inspect(settings(f"127.0.0.1:{free_port()}"))
    assert "can't be reached" in found.trouble
    assert "REDIS_ADDR" in found.remedy


async def test_one_that_stands_still_does_not_answer(redis_server) -> None:
    """It is not waited for long."""
    redis_server.freeze()
    try:
        found = await inspect(settings(redis_server.url))
    finally:
        redis_server.thaw()
    assert "does not answer within 200 ms" in found.trouble


async def test_a_database_that_it_does_not_have(redis_server) -> None:
    """The number is at fault."""
    found = await inspect(settings(f"127.0.0.1:{redis_server.port}", redis_db=999))
    assert "no database of this number" in found.trouble


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (NoPermissionError("no permissions to run 'eval'"), "may not do all"),
        (ResponseError("wrong kind of server"), "it answers: wrong kind"),
        (Unconnected("refused"), "ConnectionError: refused"),
        (OSError(), "(OSError)"),
    ],
)
def test_each_trouble_has_its_sentence(error, word) -> None:
    """And a remedy."""
    found, remedy = trouble(error)
    assert word in found
    assert remedy
