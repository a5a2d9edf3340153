"""Ends a wait that has lasted too long, without a timer for each thing that is waited for.

A timer of its own for every event costs more than the event. This one is set once and, when it
rings, looks at when something was last heard; only true silence cancels the waiting task.
"""

import asyncio


class Silence:
    """Watches the task that made it; `stop` it when the watching is over."""

    __slots__ = ("_handle", "_limit_s", "_loop", "_task", "broken", "heard_at", "waiting")

    def __init__(self, limit_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._limit_s = limit_s
        self.waiting = False
        """Set while the task waits for the upstream: only then is silence the upstream's."""
        self.heard_at = self._loop.time()
        self.broken = False
        """True once the task was cancelled from here."""
        self._handle = self._loop.call_later(limit_s, self._look)

    def heard(self) -> None:
        """Note that something was heard now."""
        self.heard_at = self._loop.time()

    def shorten(self, limit_s: float) -> None:
        """Wait at most this long from now on."""
        self._handle.cancel()
        self._limit_s = limit_s
        self.heard_at = self._loop.time()
        self._handle = self._loop.call_later(limit_s, self._look)

    def broke(self) -> bool:
        """Tell whether the cancellation that was just caught came from here, and take it back."""
        if not self.broken:
            return False
        if self._task is not None:
            self._task.uncancel()
        return True

    def stop(self) -> None:
        """Watch no longer."""
        self._handle.cancel()

    def _look(self) -> None:
        left_s = self.heard_at + self._limit_s - self._loop.time()
        if left_s <= 0 and self.waiting:
            self.broken = True
            if self._task is not None:
                self._task.cancel()
            return
        self._handle = self._loop.call_later(max(left_s, self._limit_s / 4), self._look)
