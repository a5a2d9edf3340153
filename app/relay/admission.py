"""Finds each call an account, and a place in the line if all of them are busy.

What wakes the line is an event: a settled lease, an account whose reply has begun, the end of a
rest, a reload. There is one timer for the whole line, set to the next moment at which something
changes by itself, and nothing polls. Who joins is told at once if waiting is in vain, and those
who wait are told as soon as it has become so.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from app.domain.account import AccountId
from app.domain.call import Call
from app.domain.outcome import Abandoned, Outcome
from app.errors import CapacityError
from app.pool.explanation import Explanations
from app.pool.pool import AccountPool, Lease, NotBefore
from app.pool.shelves import Wanted
from app.ports import Clock
from app.relay.line import Demand, Line, Queue, Waiter

WAKE_SLACK_S: Final = 0.01
"""Waited beyond a moment, so that a timer that rings early does not ring in vain."""
REVIEW_S: Final = 0.05
"""How soon it is looked whether waiting is in vain, once a lease came back and helped nobody: a
storm of such leases costs one look."""
RETRY_MAX_S: Final = 60.0
"""A pool that is only busy is not to be stayed away from for longer."""
_NOBODY: Final[frozenset[AccountId]] = frozenset()


class Admission:
    """Leases for calls; every lease goes back through `settle`, exactly once."""

    def __init__(
        self,
        *,
        pool: AccountPool,
        clock: Clock,
        queue_max: int,
        queue_wait_s: float,
        explanations: Explanations | None = None,
        hurry: Callable[[], None] | None = None,
    ) -> None:
        """Make an empty line; `hurry` is called when the first call joins it."""
        self._pool = pool
        self._clock = clock
        self._queue_wait_s = queue_wait_s
        self._explanations = explanations
        self._hurry = hurry
        self._line = Line(places_max=queue_max)
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = 0.0
        """When the timer rings, on the clock that never steps."""
        self._served_at = 0.0
        self._gap_s = 0.0
        """How far apart places are handed out while there is a line, on the average."""

    @property
    def waiting(self) -> int:
        """How many calls stand in line."""
        return len(self._line)

    async def lease(
        self,
        call: Call,
        *,
        excluding: frozenset[AccountId] = _NOBODY,
        avoiding: frozenset[AccountId] = _NOBODY,
        preferring: AccountId | None = None,
        only: AccountId | None = None,
        waited_s: float = 0.0,
    ) -> Lease:
        """Return a lease, after a wait in line if it must be.

        Accounts in `excluding` are never leased, those in `avoiding` only if no other one can
        be leased at once, and `preferring` before all others; with `only` no other one at all.
        `waited_s` is how long the call has stood in line before.

        Raises:
            CapacityError: `pool_empty`, `usage_limit_reached` or `pool_busy`; it says when to
                come back.
        """
        if self._line:
            self._hand_out()
        now = self._clock.now()
        found = self._pool.lease(
            call, excluding=excluding | avoiding, preferring=preferring, only=only, now=now
        )
        if avoiding and not isinstance(found, Lease):
            found = self._pool.lease(call, excluding=excluding, only=only, now=now)
        if not isinstance(found, Lease):
            demand = Demand(call.model, call.groups, call.tags, only, call.needs)
            deadline = self._clock.monotonic() + self._queue_wait_s - waited_s
            future: asyncio.Future[Lease] = asyncio.get_running_loop().create_future()
            waiter = Waiter(call, demand, excluding, deadline, future)
            try:
                found = await self._wait(waiter, found)
            except CapacityError as error:
                self._explain(waiter, error)
                raise
        if self._explanations is not None:
            now = self._clock.now()
            self._explanations.selected(self._pool, call, found, now=now, excluding=excluding)
        return found

    def began(self, lease: Lease, *, first_event_s: float) -> None:
        """Note that the upstream has taken the call: the account may be given more of them."""
        self._pool.began(lease, first_event_s=first_event_s, now=self._clock.now())
        if self._line:
            self._hand_out(freed=lease.account.id)

    def settle(self, lease: Lease, outcome: Outcome) -> None:
        """Give the lease back, and the place it held to the first waiter that can use it."""
        self._pool.settle(lease, outcome, now=self._clock.now())
        if self._line and not self._hand_out(freed=lease.account.id):
            self._ring_by(self._clock.monotonic() + REVIEW_S)

    def serve_line(self) -> None:
        """Hand out what has become free otherwise than by `settle`: accounts came or changed."""
        if self._line:
            self._hand_out()
            self._ring_by(self._clock.monotonic() + REVIEW_S)

    def _hand_out(self, *, freed: AccountId | None = None) -> int:
        """Serve the line in its order, and return how many were served.

        `freed` says that nothing but this account's places has changed.
        """
        now = self._clock.now()
        served = 0
        fruitful = True
        while fruitful and self._line and self._pool.has_room(now=now):
            fruitful = False
            for queue in self._line.queues:
                if freed is not None and queue.demand.only not in (None, freed):
                    continue
                if self._serve(queue, now):
                    fruitful = True
                    served += 1
                    if not self._pool.has_room(now=now):
                        break
        if self._line:
            self._ring_at_wake(self._pool.next_wake_at)
        return served

    def _serve(self, queue: Queue, now: float) -> bool:
        """Lease an account to the first of a queue that can use one; False if nobody can."""
        pool, demand = self._pool, queue.demand
        wanted = Wanted(demand.model, demand.groups, demand.tags, demand.needs)
        if not pool.can_take(wanted, now=now):
            return False
        for waiter in queue.candidates():
            found = pool.lease(waiter.call, excluding=waiter.excluding, only=demand.only, now=now)
            if isinstance(found, Lease):
                self._line.leave(waiter, served=True)
                waiter.granted.set_result(found)
                self._note_pace()
                return True
            if not waiter.returning:
                self._expect(queue, found)
        return False

    async def _wait(self, waiter: Waiter, found: NotBefore) -> Lease:
        """Stand in line until there is a lease, or until waiting is in vain."""
        error = self._in_vain(found, waiter.deadline)
        if error is not None:
            raise error
        if not self._line.has_place(waiter.call.caller_id):
            raise self._busy(found, len(self._line))
        if self._hurry is not None and not self._line:
            self._hurry()
        queue = self._line.join(waiter)
        self._expect(queue, found)
        self._ring_by(waiter.deadline)
        try:
            return await waiter.granted
        except asyncio.CancelledError:
            # The place may have been handed over in the very moment in which the caller left.
            granted = waiter.granted
            if granted.done() and not granted.cancelled() and granted.exception() is None:
                self.settle(granted.result(), Abandoned())
            raise
        finally:
            self._line.leave(waiter)
            if not self._line:
                self._rest()

    def _ring(self) -> None:
        """Do what a moment brings: rests end, deadlines pass, hopes fade."""
        self._timer = None
        now = self._clock.now()
        self._pool.wake(now=now)
        self._hand_out()
        for queue in self._line.queues:
            self._dismiss_overdue(queue, now)
            if queue:
                self._dismiss_hopeless(queue, now)
            if queue:
                self._ring_by(queue.deadline)
                self._ring_at_wake(queue.not_before)

    def _dismiss_overdue(self, queue: Queue, now: float) -> None:
        """Tell those whose wait has run out."""
        only = queue.demand.only
        for waiter in queue.overdue(self._clock.monotonic()):
            excluding = waiter.excluding
            found = self._pool.not_before(waiter.call, excluding=excluding, only=only, now=now)
            error = self._in_vain(found, waiter.deadline)
            self._dismiss(waiter, error or self._busy(found, len(queue)))

    def _dismiss_hopeless(self, queue: Queue, now: float) -> None:
        """Tell those who would wait in vain; one look for the whole queue."""
        call, only = queue.any.call, queue.demand.only
        found = self._pool.not_before(call, excluding=_NOBODY, only=only, now=now)
        self._expect(queue, found)
        if found.busy:
            return
        left_s = float("inf") if found.at is None else found.at - now
        for waiter in queue.overdue(self._clock.monotonic() + left_s):
            error = self._in_vain(found, waiter.deadline)
            self._dismiss(waiter, error or self._busy(found, len(queue)))

    def _dismiss(self, waiter: Waiter, error: CapacityError) -> None:
        self._line.leave(waiter)
        if not waiter.granted.done():
            waiter.granted.set_exception(error)

    def _in_vain(self, found: NotBefore, deadline: float) -> CapacityError | None:
        """Return why waiting until `deadline` would not help, None if it may."""
        left_s = deadline - self._clock.monotonic()
        if not found.busy:
            if found.at is None:
                return CapacityError(
                    "No usable account is configured for this model.", code="pool_empty"
                )
            until_s = found.at - self._clock.now()
            if until_s > max(0.0, left_s):
                return CapacityError(
                    "Every account is at its usage limit.",
                    status=429,
                    code="usage_limit_reached",
                    type="usage_limit_reached",
                    retry_after_s=max(1.0, until_s),
                    resets_at=found.at,
                )
        return self._busy(found, len(self._line)) if left_s <= 0 else None

    def _busy(self, found: NotBefore, ahead: int) -> CapacityError:
        """Return the error of a busy pool: come back for the earliest slot or the end of a rest."""
        wait_s = self._gap_s * (ahead + 1)
        if found.at is not None:
            wait_s = min(wait_s, found.at - self._clock.now())
        return CapacityError(
            "All accounts are at their concurrency limit.",
            retry_after_s=min(max(1.0, wait_s), RETRY_MAX_S),
        )

    def _note_pace(self) -> None:
        moment = self._clock.monotonic()
        gap_s = min(moment - self._served_at, RETRY_MAX_S) if self._served_at else 0.0
        self._gap_s += (gap_s - self._gap_s) / 8
        self._served_at = moment

    def _explain(self, waiter: Waiter, error: CapacityError) -> None:
        if self._explanations is not None:
            self._explanations.refused(
                self._pool,
                waiter.call,
                excluding=waiter.excluding,
                only=waiter.demand.only,
                code=error.code,
                now=self._clock.now(),
            )

    def _expect(self, queue: Queue, found: NotBefore) -> None:
        queue.not_before = found.at
        self._ring_at_wake(found.at)

    def _ring_at_wake(self, at: float | None) -> None:
        """See to it that the timer rings at this moment of the epoch, or before."""
        if at is not None:
            self._ring_by(self._clock.monotonic() + max(0.0, at - self._clock.now()))

    def _ring_by(self, moment: float) -> None:
        """See to it that the timer rings at this moment, or before."""
        if self._timer is not None:
            if self._rings_at <= moment:
                return
            self._timer.cancel()
        self._rings_at = moment
        wait_s = max(0.0, moment - self._clock.monotonic()) + WAKE_SLACK_S
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._ring)

    def _rest(self) -> None:
        """Nobody waits: there is nothing to ring for, and the pace of the line means nothing."""
        self._served_at = 0.0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
