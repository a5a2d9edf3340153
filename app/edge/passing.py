"""Says a reply's events to its caller as they come, and counts how long that takes.

One for each stream, and there are thousands at a time: fields are smaller than what functions
would share in a closure, and cost an event no more.
"""

from collections.abc import Awaitable
from typing import Generic

from app.edge.plans import LaneOf, P
from app.edge.run import WayOf
from app.ports import CallObserver, Clock
from app.relay.reply import Batch


class Passing(Generic[P]):
    """The way of one reply's events; hand `take` to the reply."""

    __slots__ = ("_asked", "_downstream", "_lane", "_monotonic", "_passed")

    def __init__(
        self, lane: LaneOf[P], downstream: WayOf[P], *, clock: Clock, observer: CallObserver
    ) -> None:
        """Wait for the first event from now on."""
        self._lane = lane
        self._downstream = downstream
        self._monotonic = clock.monotonic
        self._passed = observer.passed
        self._asked = clock.monotonic()

    def take(self, batch: Batch) -> Awaitable[None] | None:
        """Say events; wait for what is returned before the next ones are taken."""
        downstream, monotonic = self._downstream, self._monotonic
        came = monotonic()
        if downstream.gone:
            return None
        data = self._lane.feed(batch)
        made = monotonic()
        pending = downstream.push(data) if data else None
        if pending is not None:
            return self._taken(pending, came, made)
        self._asked = self._passed(self._asked, came, made)
        return None

    async def _taken(self, pending: Awaitable[None], came: float, made: float) -> None:
        await pending
        self._asked = self._passed(self._asked, came, made)
