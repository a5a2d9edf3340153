"""Several processes that share their state, in memory or over a real Redis, for the same tests."""

from typing import Any

import pytest
import redis
from redis.asyncio.connection import AbstractConnection

from app.clock import SystemClock
from app.ports import SharedState
from app.settings import Driver, Settings
from app.shared.client import client_of
from app.shared.memory import Hub, MemoryShared
from app.shared.redis import Pace, RedisShared
from tests.servers import RedisServer

PATIENT = Pace(step_s=5.0)
"""For tests that are not about being away: the machine may be busy."""


def cut_connections(patch: pytest.MonkeyPatch) -> None:
    """Let each write meet a connection that was cut a moment ago, in uvloop's words."""

    async def closed(*_args: Any, **_options: Any) -> None:
        raise RuntimeError("unable to perform operation on <TCPTransport closed=True>")

    patch.setattr(AbstractConnection, "send_packed_command", closed)


class MemoryCompany:
    """Members of one hub, whose time is the test's."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.hub = Hub(now=lambda: self.now)

    def join(self, name: str) -> SharedState:
        """Return one more process."""
        return MemoryShared(self.hub, incarnation=name)

    def silence(self, name: str, seconds: float) -> None:
        """Let it be so long since a process was heard of."""
        self.hub.members[name].seen_at -= seconds

    def expire(self, name: str) -> None:
        """End a lease as time would."""
        self.hub.leases[name].ends_at = self.now - 1.0

    async def close(self) -> None:
        """Nothing is open."""


class RedisCompany:
    """Clients of one Redis, which is emptied first."""

    def __init__(self, server: RedisServer, *, calm: bool = True) -> None:
        self.server = server
        self.raw = redis.Redis(port=server.port)
        self.raw.flushall()
        if calm:
            # As after an end in good order: nobody has to be waited for.
            self.raw.hset("c2a:meta", "calm", "1")
        self.members: list[RedisShared] = []

    def join(self, name: str, **changes: Any) -> RedisShared:
        """Return one more process."""
        settings = Settings(cache_driver=Driver.REDIS, redis_addr=self.server.url)
        member = RedisShared(
            client=client_of(settings),
            incarnation=name,
            clock=SystemClock(),
            pace=changes.pop("pace", PATIENT),
            **changes,
        )
        self.members.append(member)
        return member

    def silence(self, name: str, seconds: float) -> None:
        """Let it be so long since a process was heard of."""
        self.raw.zincrby("c2a:seen", -seconds * 1_000, name)

    def expire(self, name: str) -> None:
        """End a lease as time would."""
        self.raw.delete(f"c2a:lease:{name}")

    async def close(self) -> None:
        """Let go of everything."""
        for member in self.members:
            await member.close()
        self.raw.close()
