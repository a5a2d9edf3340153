"""Who stands in line for an account, and whose turn it is.

Calls that ask for the same (model, groups, tags, needs, one account) stand in one queue. In a queue
the callers' keys take turns, one call each, and the calls of a key go in the order in which they
came: whoever has 500 calls waiting delays another key's first call by one turn. A call that has
been leased before and comes back, because its account failed it, goes before its key's fresh ones;
as it may not go to just any account, it holds up nobody who can.

Nothing here looks at a clock or leases anything: that is for `admission`. Each step costs O(1), or
O(log n) in the number of calls in line.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from itertools import islice
from typing import Final

from msgspec import Struct, field

from app.domain.account import AccountId
from app.domain.call import Call
from app.domain.caller import KeyId
from app.domain.needs import NOTHING, Need
from app.pool.pool import Lease

KEY_PLACES_MIN: Final = 10
"""Places that a key always gets, as long as there are any at all."""
RETURNING_TRIES: Final = 4
"""Calls with accounts they stay away from that are tried for one key in one turn."""
_SPARE: Final = 64


class Demand(Struct, frozen=True):
    """What a call asks of an account."""

    model: str
    groups: tuple[str, ...]
    tags: tuple[str, ...]
    only: AccountId | None = None
    needs: frozenset[Need] = NOTHING


class Waiter(Struct, eq=False):
    """A call in line. Who serves it sets `granted`, once; who waits takes it out again."""

    call: Call
    demand: Demand
    excluding: frozenset[AccountId]
    deadline: float
    """When it has waited long enough, on the clock that never steps."""
    granted: asyncio.Future[Lease]
    number: int = 0

    @property
    def returning(self) -> bool:
        """Tell whether it has been leased before, and stays away from where it was."""
        return bool(self.excluding)


class _Places(Struct):
    """The calls of one key in one queue, each kind in its order."""

    returning: OrderedDict[int, Waiter] = field(default_factory=OrderedDict)
    fresh: OrderedDict[int, Waiter] = field(default_factory=OrderedDict)

    def of(self, waiter: Waiter) -> OrderedDict[int, Waiter]:
        return self.returning if waiter.returning else self.fresh


class Queue:
    """The calls that ask for the same."""

    def __init__(self, demand: Demand) -> None:
        self.demand = demand
        self.not_before: float | None = None
        """Epoch seconds at which an account may take one of them, if that is known."""
        self._turns: OrderedDict[KeyId, _Places] = OrderedDict()
        self._waiters: dict[int, Waiter] = {}
        self._deadlines: list[tuple[float, int]] = []

    def __len__(self) -> int:
        return len(self._waiters)

    @property
    def any(self) -> Waiter:
        """One of them; there must be one."""
        return next(iter(self._waiters.values()))

    @property
    def deadline(self) -> float:
        """When the first of them has waited long enough; there must be one."""
        while self._deadlines[0][1] not in self._waiters:
            heappop(self._deadlines)
        return self._deadlines[0][0]

    def overdue(self, moment: float) -> Iterator[Waiter]:
        """Yield those whose deadline lies before `moment`, the earliest first.

        Take each of them out before the next is asked for.
        """
        while self._waiters and self.deadline < moment:
            yield self._waiters[self._deadlines[0][1]]

    def candidates(self) -> Iterator[Waiter]:
        """Yield whom to try, in their order; stop after one that was served.

        A fresh one is the last: where it can't be served, no fresh one can.
        """
        for places in self._turns.values():
            waiting = (each for each in places.returning.values() if not each.granted.done())
            yield from islice(waiting, RETURNING_TRIES)
            for waiter in places.fresh.values():
                # One that has just been cancelled stands here until its task runs.
                if not waiter.granted.done():
                    yield waiter
                    return

    def add(self, waiter: Waiter) -> None:
        """Let it stand behind its key's others, and a new key behind the others."""
        key = waiter.call.caller_id
        self._turns.setdefault(key, _Places()).of(waiter)[waiter.number] = waiter
        self._waiters[waiter.number] = waiter
        if len(self._deadlines) > 2 * len(self._waiters) + _SPARE:
            kept = [entry for entry in self._deadlines if entry[1] in self._waiters]
            heapify(kept)
            self._deadlines = kept
        heappush(self._deadlines, (waiter.deadline, waiter.number))

    def remove(self, waiter: Waiter) -> bool:
        """Take it out, wherever it stands; False if it stands nowhere."""
        if self._waiters.pop(waiter.number, None) is None:
            return False
        key = waiter.call.caller_id
        places = self._turns[key]
        del places.of(waiter)[waiter.number]
        if not places.fresh and not places.returning:
            del self._turns[key]
        return True

    def took_turn(self, key: KeyId) -> None:
        """Let the other keys go first next time."""
        if key in self._turns:
            self._turns.move_to_end(key)


class Line:
    """All queues, and the bounds of all of them together."""

    def __init__(self, *, places_max: int) -> None:
        self._places_max = places_max
        self._queues: OrderedDict[Demand, Queue] = OrderedDict()
        self._of_key: dict[KeyId, int] = {}
        self._size = 0
        self._number = 0

    def __len__(self) -> int:
        return self._size

    @property
    def queues(self) -> tuple[Queue, ...]:
        """The queues that are not empty, the one whose last turn is the longest ago first."""
        return tuple(self._queues.values())

    def has_place(self, key: KeyId) -> bool:
        """Tell whether another call of `key` may join.

        A key may hold as many places as are still free, so one key alone fills half of the line,
        two fill a third each, and there is always a place for a key that has none.
        """
        free = self._places_max - self._size
        return free > 0 and self._of_key.get(key, 0) < max(KEY_PLACES_MIN, free)

    def join(self, waiter: Waiter) -> Queue:
        """Let the call stand in line; `leave` is owed for it."""
        self._number += 1
        waiter.number = self._number
        key = waiter.call.caller_id
        self._of_key[key] = self._of_key.get(key, 0) + 1
        self._size += 1
        queue = self._queues.get(waiter.demand)
        if queue is None:
            queue = self._queues[waiter.demand] = Queue(waiter.demand)
        queue.add(waiter)
        return queue

    def leave(self, waiter: Waiter, *, served: bool = False) -> None:
        """Take the call out; `served` says that it was its key's turn. Once it is out, nothing."""
        demand, key = waiter.demand, waiter.call.caller_id
        queue = self._queues.get(demand)
        if queue is None or not queue.remove(waiter):
            return
        self._size -= 1
        self._of_key[key] -= 1
        if not self._of_key[key]:
            del self._of_key[key]
        if not queue:
            del self._queues[demand]
        elif served:
            queue.took_turn(key)
            self._queues.move_to_end(demand)
