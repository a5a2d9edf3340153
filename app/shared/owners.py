"""Finds in Redis whose an encrypted item is, where this process has not heard of it.

That is so right after its start, or if Redis was away when it was told: else it is known, and Redis
is not asked. It is the one question that a call may have to wait for, a fifth of a second at most;
while Redis does not answer, it is not asked and nobody waits. What is not found has been forgotten,
or was never told: then it is not known.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from redis.asyncio import Redis

from app.domain.shared import Binding
from app.ports import Clock
from app.shared.breaker import Breaker
from app.shared.client import FAULTS, STEP_S
from app.shared.codec import binding

PREFIX: Final = "c2a:owner:"
KEYS_MAX: Final = 500
"""Items of one call that are asked for: the latest ones, which a call names first."""


class Owners:
    """Asks a client that nobody waits for otherwise."""

    def __init__(self, client: Redis, *, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._breaker = Breaker()

    async def find(self, keys: Sequence[str]) -> list[Binding]:
        """Return whose these items are, of those that are known."""
        if not keys or not self._breaker.admits(self._clock.monotonic()):
            return []
        try:
            async with asyncio.timeout(STEP_S):
                found = await self._client.mget([PREFIX + key for key in keys[:KEYS_MAX]])
        except FAULTS:
            self._breaker.failed(self._clock.monotonic())
            return []
        self._breaker.succeeded()
        raws = (raw for raw in found if isinstance(raw, bytes))
        return [known for raw in raws if (known := binding(raw)) is not None]
