"""Virtual time: what happens next, and what the gateway's clock says meanwhile.

`at` is the true time in seconds since the start; it only grows. The gateway reads `now`, epoch
seconds of a clock that somebody may set. Events of one moment happen in the order in which they
were planned, so that a run can be played again.
"""

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any, Final

EPOCH: Final = 1_800_000_000.0
"""The upstream's clock at the start; it is never wrong."""

Act = Callable[[Any], None]


class Timeline:
    """The events that are still to come."""

    __slots__ = ("_events", "_number", "at", "now", "skew_s")

    def __init__(self) -> None:
        self._events: list[tuple[float, int, Act, Any]] = []
        self._number = 0
        self.at = 0.0
        self.now = EPOCH
        self.skew_s = 0.0
        """How much later than the upstream's the gateway's clock is."""

    def plan(self, at: float, act: Act, what: Any = None) -> None:
        """Have `act(what)` happen at `at`, or at once if that is over."""
        self._number += 1
        heappush(self._events, (at, self._number, act, what))

    def plan_in(self, wait_s: float, act: Act, what: Any = None) -> None:
        """Have `act(what)` happen after `wait_s` seconds."""
        self.plan(self.at + wait_s, act, what)

    def step(self) -> bool:
        """Let the next thing happen; False if there is none."""
        if not self._events:
            return False
        at, _, act, what = heappop(self._events)
        if at > self.at:
            self.at = at
            self.now = EPOCH + at + self.skew_s
        act(what)
        return True

    def set_clock(self, step_s: float) -> None:
        """Set the gateway's clock forward, or back if `step_s` is negative."""
        self.skew_s += step_s
        self.now = EPOCH + self.at + self.skew_s
