"""The relay's admission without an event loop: the same line, the same order, virtual time.

Who stands where and whose turn it is decides `app.relay.line`, the product's own. What the relay
does with futures and a timer is done here with callbacks and events of the timeline, at the same
moments: a settled lease, a reply that has begun, the end of a rest, a deadline. What the pool is
told, and what the judge looks at between that and the handing out, is the engine's.
"""

from asyncio import Future
from collections.abc import Callable, Iterator
from typing import Final, cast

from app.domain.account import AccountId
from app.errors import CapacityError
from app.pool.pool import AccountPool, Lease, NotBefore
from app.pool.shelves import Wanted
from app.relay.admission import REVIEW_S, WAKE_SLACK_S
from app.relay.line import Demand, Line, Queue, Waiter
from app.simulation.plan import Gateway
from app.simulation.timeline import Timeline
from app.simulation.trip import Trip

_NOBODY: Final[frozenset[AccountId]] = frozenset()


class _Place:
    """Stands for a waiter's future: whoever is served is out of the line at once."""

    def done(self) -> bool:
        return False


class Admission:
    """Leases for calls: for each that asks, `granted` or `refused` is called once."""

    def __init__(
        self,
        *,
        time: Timeline,
        pool: AccountPool,
        gateway: Gateway,
        granted: Callable[[Trip, Lease], None],
        refused: Callable[[Trip, CapacityError], None],
    ) -> None:
        self._time = time
        self._pool = pool
        self._queue_wait_s = gateway.queue_wait_s
        self._granted = granted
        self._refused = refused
        self._line = Line(places_max=gateway.queue_max)
        self._trips: dict[int, Trip] = {}
        """Who stands in line, by the number of the place."""
        self._rings_at: float | None = None
        self.queued = 0

    def __len__(self) -> int:
        return len(self._line)

    def heads(self) -> Iterator[Trip]:
        """Yield from each queue the one whom any account would do, if there is one."""
        for queue in self._line.queues:
            for waiter in queue.candidates():
                if not waiter.returning:
                    yield self._trips[waiter.number]

    def lease(self, trip: Trip) -> None:
        """Find the call an account, a place in the line, or an error."""
        if self._line:
            self._hand_out()
        now, call, only = self._time.now, trip.call, trip.only
        preferring, trip.preferring = trip.preferring, None
        excluding = trip.excluding | trip.avoiding if trip.avoiding else trip.excluding
        found = self._pool.lease(
            call, excluding=excluding, now=now, preferring=preferring, only=only
        )
        if trip.avoiding and not isinstance(found, Lease):
            found = self._pool.lease(call, excluding=trip.excluding, now=now, only=only)
        if isinstance(found, Lease):
            self._granted(trip, found)
        else:
            self._wait(trip, found)

    def began(self, account_id: AccountId) -> None:
        """Hand out what an account may be given more, since it has taken a call."""
        if self._line:
            self._hand_out(freed=account_id)

    def settled(self, account_id: AccountId) -> None:
        """Hand out what a settled lease has freed."""
        if self._line and not self._hand_out(freed=account_id):
            self._ring_by(self._time.at + REVIEW_S)

    def serve_line(self) -> None:
        """Hand out what has become free otherwise: accounts came or changed."""
        if self._line:
            self._hand_out()
            self._ring_by(self._time.at + REVIEW_S)

    def _wait(self, trip: Trip, found: NotBefore) -> None:
        deadline = self._time.at + self._queue_wait_s - trip.waited_s
        error = self._in_vain(found, deadline)
        if error is None and not self._line.has_place(trip.call.caller_id):
            error = _busy()
        if error is not None:
            self._refused(trip, error)
            return
        call = trip.call
        demand = Demand(call.model, call.groups, call.tags, trip.only, call.needs)
        place = cast(Future[Lease], _Place())
        waiter = Waiter(call, demand, trip.excluding, deadline, place)
        queue = self._line.join(waiter)
        self._trips[waiter.number] = trip
        trip.queued_at = self._time.at
        self.queued += 1
        self._expect(queue, found)
        self._ring_by(deadline)

    def _leave(self, waiter: Waiter, *, served: bool = False) -> Trip:
        self._line.leave(waiter, served=served)
        trip = self._trips.pop(waiter.number)
        if trip.queued_at is not None:
            trip.waited_s += self._time.at - trip.queued_at
            trip.queued_at = None
        return trip

    def _hand_out(self, *, freed: AccountId | None = None) -> int:
        """Serve the line in its order, and return how many were served."""
        now, pool = self._time.now, self._pool
        served = 0
        fruitful = True
        while fruitful and self._line and pool.has_room(now=now):
            fruitful = False
            for queue in self._line.queues:
                if freed is not None and queue.demand.only not in (None, freed):
                    continue
                if self._serve(queue, now):
                    fruitful = True
                    served += 1
                    if not pool.has_room(now=now):
                        break
        if self._line:
            self._ring_at_wake(pool.next_wake_at)
        return served

    def _serve(self, queue: Queue, now: float) -> bool:
        pool, demand = self._pool, queue.demand
        wanted = Wanted(demand.model, demand.groups, demand.tags, demand.needs)
        if not pool.can_take(wanted, now=now):
            return False
        for waiter in queue.candidates():
            found = pool.lease(waiter.call, excluding=waiter.excluding, now=now, only=demand.only)
            if isinstance(found, Lease):
                self._granted(self._leave(waiter, served=True), found)
                return True
            if not waiter.returning:
                self._expect(queue, found)
        return False

    def _ring(self, rings_at: float) -> None:
        """Do what a moment brings: rests end, deadlines pass, hopes fade."""
        if self._rings_at != rings_at:
            return
        self._rings_at = None
        self._pool.wake(now=self._time.now)
        self._hand_out()
        for queue in self._line.queues:
            self._dismiss_overdue(queue)
            if queue:
                self._dismiss_hopeless(queue)
            if queue:
                self._ring_by(queue.deadline)
                self._ring_at_wake(queue.not_before)

    def _dismiss_overdue(self, queue: Queue) -> None:
        for waiter in queue.overdue(self._time.at):
            found = self._pool.not_before(
                waiter.call,
                excluding=waiter.excluding,
                now=self._time.now,
                only=queue.demand.only,
            )
            error = self._in_vain(found, waiter.deadline) or _busy()
            self._refused(self._leave(waiter), error)

    def _dismiss_hopeless(self, queue: Queue) -> None:
        now = self._time.now
        found = self._pool.not_before(
            queue.any.call, excluding=_NOBODY, now=now, only=queue.demand.only
        )
        self._expect(queue, found)
        if found.busy:
            return
        left_s = float("inf") if found.at is None else found.at - now
        for waiter in queue.overdue(self._time.at + left_s):
            error = self._in_vain(found, waiter.deadline) or _busy()
            self._refused(self._leave(waiter), error)

    def _in_vain(self, found: NotBefore, deadline: float) -> CapacityError | None:
        """Return why waiting until `deadline` would not help, None if it may."""
        left_s = deadline - self._time.at
        if not found.busy:
            if found.at is None:
                return CapacityError("No usable account.", code="pool_empty")
            if found.at - self._time.now > max(0.0, left_s):
                return CapacityError("At the limit.", status=429, code="usage_limit_reached")
        return _busy() if left_s <= 0 else None

    def _expect(self, queue: Queue, found: NotBefore) -> None:
        queue.not_before = found.at
        self._ring_at_wake(found.at)

    def _ring_at_wake(self, now_then: float | None) -> None:
        """Ring once the gateway's clock says `now_then`."""
        if now_then is not None:
            self._ring_by(self._time.at + max(0.0, now_then - self._time.now))

    def _ring_by(self, moment: float) -> None:
        """Ring at this moment, or before."""
        at = max(moment, self._time.at) + WAKE_SLACK_S
        if self._rings_at is None or at < self._rings_at:
            self._rings_at = at
            self._time.plan(at, self._ring, at)


def _busy() -> CapacityError:
    return CapacityError("All accounts are at their concurrency limit.", retry_after_s=1.0)
