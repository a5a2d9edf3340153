"""Where the Redis client dials, and that it waits for nothing long."""

import pytest
from redis.asyncio import SSLConnection

from app.settings import Driver, Settings
from app.shared.client import CONNECTIONS_MAX, STEP_S, address_of, client_of


def settings(address: str, **changes) -> Settings:
    """Return settings with that address."""
    return Settings(cache_driver=Driver.REDIS, redis_addr=address, **changes)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (settings("h:1"), {"host": "h", "port": 1, "db": 0}),
        (settings("[::1]:1", redis_db=3), {"host": "::1", "port": 1, "db": 3}),
        (
            settings("h:1", redis_username="u", redis_password="p"),
            {"host": "h", "port": 1, "db": 0, "username": "u", "password": "p"},
        ),
        (settings("redis://h:1/2", redis_db=3), {"host": "h", "port": 1, "db": 2}),
        (settings("redis://h", redis_db=3), {"host": "h", "db": 3}),
        (
            settings("redis://u:p%40@h:1", redis_password="other"),
            {"host": "h", "port": 1, "db": 0, "username": "u", "password": "p@"},
        ),
    ],
)
def test_an_address_is_read_in_either_form(given, found) -> None:
    """What a URL says counts more than the other variables."""
    assert address_of(given) == found


def test_tls_is_asked_for_in_either_form(tmp_path) -> None:
    """By the URL or by the variable, and a private CA is trusted there too."""
    ca_file = tmp_path / "ca.pem"
    by_url = address_of(settings("rediss://h:1", ca_file=ca_file))
    by_variable = address_of(settings("h:1", redis_tls=True, ca_file=ca_file))
    for found in (by_url, by_variable):
        assert found["connection_class"] is SSLConnection
        assert found["ssl_ca_certs"] == str(ca_file)
    assert "ssl_ca_certs" not in address_of(settings("h:1", ca_file=ca_file))


async def test_every_wait_is_bounded_and_nothing_is_tried_twice() -> None:
    """The library's own defaults would wait a minute for a frozen server."""
    client = client_of(settings("h:1"))
    pool = client.connection_pool
    assert (pool.max_connections, pool.timeout) == (CONNECTIONS_MAX, STEP_S)
    connection = pool.make_connection()
    assert connection.socket_timeout == STEP_S
    assert connection.socket_connect_timeout == STEP_S
    assert connection.retry.get_retries() == 0
    await client.aclose()
