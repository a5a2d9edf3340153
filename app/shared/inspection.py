"""Looks whether a Redis can be used as it is, and says what stands in the way.

Nothing is written. `trouble` puts what the library raises into a sentence that an operator can act
upon; it holds no secret.
"""

import asyncio

from msgspec import Struct
from redis.exceptions import AuthenticationError, NoPermissionError, ResponseError
from redis.exceptions import TimeoutError as LateAnswer

from app.settings import Settings
from app.shared.client import FAULTS, STEP_S, address_of, client_of

OLDEST = (6, 0)
"""The first that speaks the protocol of the client."""
_TRY = "return cmsgpack.unpack(cmsgpack.pack('ok'))"


class RedisFound(Struct, frozen=True):
    """What was found; `trouble` is empty if all is well."""

    place: str
    version: str = ""
    trouble: str = ""
    remedy: str = ""


def place_of(settings: Settings) -> str:
    """Return where Redis is looked for, without user and password."""
    found = address_of(settings)
    return f"{found['host']}:{found.get('port', 6379)}/{found['db']}"


async def inspect(settings: Settings) -> RedisFound:
    """Look at the Redis of the settings."""
    place, client = place_of(settings), client_of(settings)
    try:
        async with asyncio.timeout(10 * STEP_S):
            await client.ping()
            about = await client.info("server")
            await client.eval(_TRY, 0)
    except FAULTS as error:
        found, remedy = trouble(error)
        return RedisFound(place, trouble=found, remedy=remedy)
    finally:
        await client.aclose()
    version = str(about.get("redis_version", "0"))
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
    if numbers < OLDEST:
        remedy = "Use Redis 6 or newer, or Valkey."
        return RedisFound(place, version, f"it is version {version}", remedy)
    return RedisFound(place, version)


def trouble(error: Exception) -> tuple[str, str]:
    """Return what went wrong, and what to do about it."""
    match error:
        case AuthenticationError():
            return (
                "it refuses the user or the password",
                "Set REDIS_PASSWORD, and REDIS_USERNAME where users have names.",
            )
        case NoPermissionError():
            return (
                "this user may not do all that is needed",
                "Give it the commands +@all -@admin -@dangerous, keys ~c2a:* and channels &c2a:*.",
            )
        case ResponseError() if "DB index" in str(error):
            return "it has no database of this number", "Set REDIS_DB to one that it has."
        case ResponseError():
            return f"it answers: {error}", "See to it that the address is that of a Redis."
        case TimeoutError() | LateAnswer():
            return (
                f"it does not answer within {STEP_S * 1_000:.0f} ms",
                "Check REDIS_ADDR, REDIS_TLS, the network and the server's load.",
            )
        case _:
            return (
                f"it can't be reached ({type(error).__name__}: {error})".replace(": )", ")"),
                "Check REDIS_ADDR, REDIS_TLS and the network, and that the server runs.",
            )
