"""Finds each call an account, and a place in the line if all of them are busy.

The line is first come, first served: whoever settles a lease hands the freed place to the first
waiter that can use it, and so does the end of a rest. Nothing polls and nobody overtakes. A waiter
that no account can serve now (its model rests) holds up nobody who asks for another model.
"""

import asyncio
from collections import OrderedDict
from typing import Final

from msgspec import Struct

from app.domain.account import AccountId
from app.domain.call import Call
from app.domain.outcome import Abandoned, Outcome
from app.errors import CapacityError
from app.pool.pool import AccountPool, Lease, NotBefore
from app.ports import Clock

WAKE_SLACK_S: Final = 0.01
"""Waited beyond the end of a rest, so that a timer that rings early does not ring in vain."""


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
        avoiding: frozenset[AccountId] = frozenset(),
        preferring: AccountId | None = None,
    ) -> Lease:
        """Return a lease, after a wait in line if it must be.

        Accounts in `excluding` are never leased, those in `avoiding` only if no other one can
        be leased at once, and `preferring` before all others.

        Raises:
            CapacityError: `pool_empty`, `usage_limit_reached` or `pool_busy`; it says when to
                come back.
        """
        if self._line:
            self.serve_line()
        now = self._clock.now()
        found = self._pool.lease(
            call, excluding=excluding | avoiding, preferring=preferring, now=now
        )
        if avoiding and not isinstance(found, Lease):
            found = self._pool.lease(call, excluding=excluding, now=now)
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
        if not self._pool.has_room(now=now):
            return
        in_vain: set[str] = set()
        for number, waiter in list(self._line.items()):
            model = waiter.call.model
            if model in in_vain:
                continue
            found = self._pool.lease(waiter.call, excluding=waiter.excluding, now=now)
            if isinstance(found, Lease):
                del self._line[number]
                waiter.granted.set_result(found)
                if not self._pool.has_room(now=now):
                    return
            elif not waiter.excluding:
                in_vain.add(model)

    async def _wait(self, call: Call, excluding: frozenset[AccountId], found: NotBefore) -> Lease:
        deadline = self._clock.monotonic() + self._queue_wait_s
        wait_s = self._wait_s(found, deadline)
        if len(self._line) >= self._queue_max:
            raise _busy()
        self._number += 1
        number = self._number
        granted: asyncio.Future[Lease] = asyncio.get_running_loop().create_future()
        self._line[number] = _Waiter(call, excluding, granted)
        try:
            while not granted.done():
                await asyncio.wait((granted,), timeout=wait_s)
                self.serve_line()
                if not granted.done():
                    now = self._clock.now()
                    found = self._pool.not_before(call, excluding=excluding, now=now)
                    wait_s = self._wait_s(found, deadline)
        except asyncio.CancelledError:
            # The place may have been handed over in the very moment in which the caller left.
            if granted.done():
                self.settle(granted.result(), Abandoned())
            raise
        finally:
            self._line.pop(number, None)
        return granted.result()

    def _wait_s(self, found: NotBefore, deadline: float) -> float:
        """Return how long to stand in line, or say why that would be in vain."""
        left_s = deadline - self._clock.monotonic()
        if found.at is None:
            if not found.busy:
                raise CapacityError(
                    "No usable account is configured for this model.", code="pool_empty"
                )
            until_s = left_s
        else:
            until_s = found.at - self._clock.now()
            if not found.busy and until_s > left_s:
                raise CapacityError(
                    "Every account is at its usage limit.",
                    status=429,
                    code="usage_limit_reached",
                    type="usage_limit_reached",
                    retry_after_s=max(1.0, until_s),
                    resets_at=found.at,
                )
        if left_s <= 0:
            raise _busy()
        return min(left_s, max(until_s, 0.0) + WAKE_SLACK_S)


def _busy() -> CapacityError:
    return CapacityError("All accounts are at their concurrency limit.", retry_after_s=1.0)
