"""Ends a wait that has lasted too long, without a timer for each thing that is waited for.

A timer of its own for every event costs more than the event. This one is set once and, when it
rings, looks for how long the task has been waiting; only true silence cancels it. What the task
does between two waits (its caller may be slow) is no silence of the upstream.
"""

import asyncio
from typing import Final

RESOLUTION_S: Final = 0.001
"""A wait that is over but for this is over: a timer for less may ring with the clock unmoved."""


class Silence:
    """Watches the task that made it; `stop` it when the watching is over."""

    __slots__ = (
        "_broken", "_cancelling", "_handle", "_limit_s", "_loop", "_task", "time", "waiting_since",
    )  # fmt: skip

    def __init__(self, limit_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._cancelling = self._task.cancelling() if self._task else 0
        self._limit_s = limit_s
        self._broken = False
        self.time = self._loop.time
        """The clock, for those to whom a call of `wait` is too dear."""
        self.waiting_since = 0.0
        """Its time at which the present wait began; 0 while there is none."""
        self._handle = self._loop.call_later(limit_s, self._look)

    def wait(self) -> None:
        """Note that a wait begins now; set `waiting_since` to 0 when it is over."""
        self.waiting_since = self._loop.time()

    def shorten(self, limit_s: float) -> None:
        """Wait at most this long each time from now on."""
        self._handle.cancel()
        self._limit_s = limit_s
        self._handle = self._loop.call_later(limit_s, self._look)

    def broke(self) -> bool:
        """Tell whether the cancellation that was just caught came from here, and take it back.

        False if somebody else has cancelled the task as well: that goes first.
        """
        if not self._broken or self._task is None:
            return False
        self._broken = False
        return self._task.uncancel() <= self._cancelling

    def stop(self) -> None:
        """Watch no longer."""
        self._handle.cancel()

    def _look(self) -> None:
        left_s = self._limit_s
        if self.waiting_since:
            left_s -= self._loop.time() - self.waiting_since
            if left_s < RESOLUTION_S:
                self._broken = True
                if self._task is not None:
                    self._task.cancel()
                return
        self._handle = self._loop.call_later(left_s, self._look)
