"""How late the event loop is: a task that wakes at even intervals and looks how late it was."""

import asyncio
from typing import Final

INTERVAL_S: Final = 0.5


class Heartbeat:
    """Measures the loop's lag; `run` it in a task group."""

    def __init__(self) -> None:
        self.lag_s = 0.0
        """How late the last beat was."""

    async def run(self) -> None:
        """Beat until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + INTERVAL_S
            await asyncio.sleep(INTERVAL_S)
            self.lag_s = max(0.0, loop.time() - due)
