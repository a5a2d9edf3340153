"""Finds each call an account, and a place in the line if all of them are busy.

The line is first come, first served and woken by events: whoever settles a lease hands the
freed place to the first waiter that can use it. Nothing polls and nobody overtakes.
"""

import asyncio
from collections import OrderedDict

from msgspec import Struct

from app.domain.account import AccountId
from app.domain.call import Call
from app.domain.outcome import Abandoned, Outcome
from app.errors import CapacityError
from app.pool.pool import AccountPool, Lease, NotBefore
from app.ports import Clock


class _Waiter(Struct):
    call: Call
    excluding: frozenset[AccountId]
    granted: asyncio.Future[Lease]


class Admission:
    """Leases for calls; every lease goes back through `settle`, exactly once."""

    def __init__(
        self, *, pool: AccountPool, clock: Clock, queue_max: int, queue_wait_s: float
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._queue_max = queue_max
        self._queue_wait_s = queue_wait_s
        self._line: OrderedDict[int, _Waiter] = OrderedDict()
        self._number = 0

    @property
    def waiting(self) -> int:
        """How many calls stand in line."""
        return len(self._line)

    async def lease(
        self,
        call: Call,
        *,
        excluding: frozenset[AccountId] = frozenset(),
        preferring: AccountId | None = None,
    ) -> Lease:
        """Return a lease, after a wait in line if it must be.

        Raises:
            CapacityError: `pool_empty`, `usage_limit_reached` or `pool_busy`; it says when to
                come back.
        """
        found = self._pool.lease(
            call, excluding=excluding, preferring=preferring, now=self._clock.now()
        )
        if isinstance(found, Lease):
            return found
        return await self._wait(call, excluding, found)

    def settle(self, lease: Lease, outcome: Outcome) -> None:
        """Give the lease back, and the place it held to the first waiter that can use it."""
        self._pool.settle(lease, outcome, now=self._clock.now())
        if self._line:
            self.serve_line()

    def serve_line(self) -> None:
        """Hand out what has become free, in the order of the line."""
        now = self._clock.now()
        for number, waiter in list(self._line.items()):
            if waiter.granted.done():
                continue
            found = self._pool.lease(waiter.call, excluding=waiter.excluding, now=now)
            if isinstance(found, Lease):
                del self._line[number]
                waiter.granted.set_result(found)
            elif not waiter.excluding:
                return

    async def _wait(self, call: Call, excluding: frozenset[AccountId], found: NotBefore) -> Lease:
        deadline = self._clock.now() + self._queue_wait_s
        while True:
            now = self._clock.now()
            wait_s = self._wait_s(found, now, deadline)
            lease = await self._stand(call, excluding, wait_s)
            if lease is not None:
                return lease
            again = self._pool.lease(call, excluding=excluding, now=self._clock.now())
            if isinstance(again, Lease):
                return again
            found = again

    def _wait_s(self, found: NotBefore, now: float, deadline: float) -> float:
        """Return how long to stand in line, or say why that would be in vain."""
        if not found.busy and found.at is None:
            raise CapacityError(
                "No usable account is configured for this model.", code="pool_empty"
            )
        if not found.busy and found.at is not None and found.at > deadline:
            raise CapacityError(
                "Every account is at its usage limit.",
                status=429,
                code="usage_limit_reached",
                type="usage_limit_reached",
                retry_after_s=max(1.0, found.at - now),
                resets_at=found.at,
            )
        if now >= deadline or len(self._line) >= self._queue_max:
            raise CapacityError("All accounts are at their concurrency limit.", retry_after_s=1.0)
        return (deadline if found.at is None else min(deadline, found.at + 0.01)) - now

    async def _stand(
        self, call: Call, excluding: frozenset[AccountId], wait_s: float
    ) -> Lease | None:
        self._number += 1
        number = self._number
        granted: asyncio.Future[Lease] = asyncio.get_running_loop().create_future()
        self._line[number] = _Waiter(call, excluding, granted)
        try:
            async with asyncio.timeout(max(0.0, wait_s)):
                return await granted
        except TimeoutError:
            return granted.result() if granted.done() and not granted.cancelled() else None
        except asyncio.CancelledError:
            # The place may have been handed over in the very moment in which the caller left.
            if granted.done() and not granted.cancelled():
                self.settle(granted.result(), Abandoned())
            raise
        finally:
            self._line.pop(number, None)
