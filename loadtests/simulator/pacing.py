"""One ticker for all paced streams: a wheel of callbacks, bucketed by millisecond.

A timer per stream and event is what makes simulators slow; here the loop holds one timer, and
each tick calls everything that is due. Callbacks cannot be cancelled: whoever is called late
checks for itself whether it still lives.
"""

import asyncio
import heapq
import math
import time
from collections.abc import Callable

TICK_S = 0.001


class Turnstile:
    """Holds streams back, each before its next event, until a test lets them through."""

    def __init__(self) -> None:
        self._waiting: list[Callable[[], None]] = []

    def wait(self, call: Callable[[], None]) -> None:
        """Call back when the next step is allowed."""
        self._waiting.append(call)

    def step(self) -> int:
        """Let every waiting stream go on once; returns how many waited."""
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            call()
        return len(waiting)


class Wheel:
    """Calls back at monotonic times, never early, at most a tick or so late."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._buckets: dict[int, list[Callable[[], None]]] = {}
        self._ticks: list[int] = []
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for = math.inf
        self._closed = False
        self.turnstile = Turnstile()

    def at(self, when: float, call: Callable[[], None]) -> None:
        """Call back at `when` (as `time.monotonic` counts)."""
        tick = int(when / TICK_S) + 1
        bucket = self._buckets.get(tick)
        if bucket is not None:
            bucket.append(call)
            return
        self._buckets[tick] = [call]
        heapq.heappush(self._ticks, tick)
        if tick < self._armed_for:
            self._arm(tick)

    def close(self) -> None:
        """Forget all callbacks."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._buckets.clear()
        self._ticks.clear()

    def _arm(self, tick: int) -> None:
        if self._closed:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._armed_for = tick
        delay_s = max(TICK_S, tick * TICK_S - time.monotonic())
        self._timer = self._loop.call_later(delay_s, self._fire)

    def _fire(self) -> None:
        self._timer = None
        self._armed_for = -1.0  # nothing added during the calls may arm the timer
        limit = int(time.monotonic() / TICK_S)
        ticks = self._ticks
        while ticks and ticks[0] <= limit:
            for call in self._buckets.pop(heapq.heappop(ticks)):
                call()
        self._armed_for = math.inf
        if ticks:
            self._arm(ticks[0])
