"""How late the event loop is: a task that wakes at even intervals and looks how late it was.

What must be done about once a second for as long as the process lives, and takes no time, is done
with each beat. A loop that does not beat at all is the matter of `app.telemetry.watchdog`.
"""

import asyncio
from collections.abc import Callable
from typing import Final

INTERVAL_S: Final = 0.5


class Heartbeat:
    """Measures the loop's lag; `run` it in a task group.

    `beat` is called each time and must return at once.
    """

    def __init__(self, beat: Callable[[], object] = lambda: None) -> None:
        self.beats = 0
        """How often it has beaten."""
        self._beat = beat
        self._lag_s = 0.0
        self._overdue_s: Callable[[], float] = float

    @property
    def lag_s(self) -> float:
        """How late the last beat was, or the next one is already. Ask in the loop's thread."""
        return max(self._lag_s, self._overdue_s())

    async def run(self) -> None:
        """Beat until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        # That the loop turns at all: one that stands still right after the start is found as well.
        self.beats += 1
        self._overdue_s = lambda: loop.time() - due
        while True:
            due = loop.time() + INTERVAL_S
            await asyncio.sleep(INTERVAL_S)
            self._lag_s = max(0.0, loop.time() - due)
            self.beats += 1
            self._beat()
