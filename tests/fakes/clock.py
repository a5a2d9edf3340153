"""A clock that only moves when a test says so, and sleepers that wake in its order."""

import asyncio
from heapq import heappop, heappush
from itertools import count

TURNS = 30
"""Loop turns that let everything settle that waits for no time."""


class FakeClock:
    """Satisfies `app.ports.Clock`; hand out `sleep` where the real one is injected."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self._start = now
        self._elapsed = 0.0
        self._numbers = count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> float:
        """Return virtual epoch seconds."""
        return self._start + self._elapsed

    def monotonic(self) -> float:
        """Return virtual seconds since the clock was made."""
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        """Return once the clock has been moved past the end of the sleep."""
        woken = asyncio.get_running_loop().create_future()
        heappush(self._sleepers, (self._elapsed + seconds, next(self._numbers), woken))
        await woken

    async def advance(self, seconds: float) -> None:
        """Move time forward, waking each sleeper at its own moment."""
        end = self._elapsed + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            at, _, woken = heappop(self._sleepers)
            if woken.done():
                continue
            self._elapsed = max(self._elapsed, at)
            woken.set_result(None)
            await settle()
        self._elapsed = end
        await settle()


async def settle() -> None:
    """Let every task run until it waits for time or for the test."""
    for _ in range(TURNS):
        await asyncio.sleep(0)
