"""The calls in flight in this worker, and whether new ones are still taken."""

import asyncio

from app.errors import Draining, Overloaded


class InFlight:
    """Counts calls in; a drain takes no new ones and lets the running ones end."""

    def __init__(self, *, calls_max: int) -> None:
        self._calls_max = calls_max
        self._count = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self.draining = False

    def __len__(self) -> int:
        return self._count

    def enter(self) -> None:
        """Count a call in; `leave` is owed.

        Raises:
            Draining: This worker is going away.
            Overloaded: It has as many calls in flight as it may.
        """
        if self.draining:
            raise Draining("This gateway is restarting; try again.", retry_after_s=1.0)
        if self._count >= self._calls_max:
            raise Overloaded("The gateway has too many calls in flight.", retry_after_s=2.0)
        self._count += 1
        self._idle.clear()

    def leave(self) -> None:
        """Count a call out."""
        self._count -= 1
        if not self._count:
            self._idle.set()

    def drain(self) -> None:
        """Take no new call from now on. A second call changes nothing."""
        self.draining = True

    async def idle(self) -> None:
        """Return once no call is in flight."""
        await self._idle.wait()
