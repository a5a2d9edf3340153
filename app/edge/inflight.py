"""The calls in flight in this worker, the bytes they hold, and whether new ones are still taken.

A call holds its request's body until its reply has begun, because until then it may have to be
sent once more. So bodies are what a worker's memory goes to, and they are counted all together.
"""

import asyncio
from typing import Final

from app.errors import Draining, Overloaded

BODY_BYTES_MAX: Final = 512 << 20
"""Bytes of request bodies in one worker: ten of the largest, or 2,000 calls of 256 KiB each."""


class InFlight:
    """Counts calls in; a drain takes no new ones and lets the running ones end."""

    def __init__(self, *, calls_max: int, body_bytes_max: int = BODY_BYTES_MAX) -> None:
        self._calls_max = calls_max
        self._body_bytes_max = body_bytes_max
        self._count = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self.body_bytes = 0
        """What the calls in flight hold of their requests' bodies."""
        self.draining = False

    def __len__(self) -> int:
        return self._count

    def enter(self) -> "Place":
        """Count a call in; its place is to be left.

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
        return Place(self)

    def drain(self) -> None:
        """Take no new call from now on. A second call changes nothing."""
        self.draining = True

    async def idle(self) -> None:
        """Return once no call is in flight."""
        await self._idle.wait()

    def hold(self, size: int, *, held: int) -> None:
        """Count `size` bytes in for a call that holds `held` already: see `Place.hold`."""
        # A body that is alone always fits: the limit of one body is another's to check.
        if self.body_bytes + size > self._body_bytes_max and self.body_bytes > held:
            raise Overloaded("The gateway holds too many large requests.", retry_after_s=2.0)
        self.body_bytes += size

    def leave(self, held: int) -> None:
        """Count out a call that held `held` bytes: see `Place.leave`."""
        self.body_bytes -= held
        self._count -= 1
        if not self._count:
            self._idle.set()


class Place:
    """One call's place among those in flight. `leave` it exactly once."""

    __slots__ = ("_held", "_in_flight")

    def __init__(self, in_flight: InFlight) -> None:
        self._in_flight = in_flight
        self._held = 0

    def hold(self, size: int) -> None:
        """Count `size` more bytes of the call's body in.

        Raises:
            Overloaded: All calls together hold as many as they may.
        """
        self._in_flight.hold(size, held=self._held)
        self._held += size

    def release(self) -> None:
        """Count the body out: the call goes on without it."""
        self._in_flight.body_bytes -= self._held
        self._held = 0

    def leave(self) -> None:
        """Count the call out, and all that it held."""
        self._in_flight.leave(self._held)
