"""The Redis client, with every wait bounded: its own defaults would wait a minute.

Nothing is dialled until the first command. A command that fails is never tried again in here; what
to do then is the business of whoever asked.
"""

from typing import Any, Final

from redis.asyncio import BlockingConnectionPool, Redis, SSLConnection
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.maint_notifications import MaintNotificationsConfig

from app.environment import host_port
from app.settings import Settings

STEP_S: Final = 0.2
"""The longest wait for a connection from the pool, for a new one, and for an answer."""
CONNECTIONS_MAX: Final = 8
FAULTS: Final = (RedisError, OSError, TimeoutError, RuntimeError)
"""What a command raises if the server or the way there is at fault. A `RuntimeError` is what uvloop
raises for a write to a connection that was cut a moment ago, of which the client has not read."""


def client_of(settings: Settings) -> Redis:
    """Return a client of the configured server; close it with `aclose`."""
    pool = BlockingConnectionPool(
        max_connections=CONNECTIONS_MAX,
        timeout=STEP_S,
        socket_timeout=STEP_S,
        socket_connect_timeout=STEP_S,
        retry=Retry(NoBackoff(), 0),
        protocol=3,
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
        **address_of(settings),
    )
    # Thus, and not with `connection_pool=`, closing the client closes the pool.
    return Redis.from_pool(pool)


def address_of(settings: Settings) -> dict[str, Any]:
    """Return where the server is and how to sign in; what a URL says counts most."""
    address = settings.redis_addr or ""
    found: dict[str, Any] = {"db": settings.redis_db}
    if settings.redis_username is not None:
        found["username"] = settings.redis_username
    if settings.redis_password is not None:
        found["password"] = settings.redis_password
    if "://" in address:
        found |= parse_url(address)
    else:
        found["host"], found["port"] = host_port(address)
        if settings.redis_tls:
            found["connection_class"] = SSLConnection
    if settings.ca_file is not None and found.get("connection_class") is SSLConnection:
        found["ssl_ca_certs"] = str(settings.ca_file)
    return found
