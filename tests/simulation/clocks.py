"""The clocks of simulated processes: the loop's time, and a wall clock that may be set."""

from typing import Final

from tests.simulation.loop import SimulationLoop

EPOCH: Final = 1_800_000_000.0
"""What is added to the loop's time to get true epoch seconds."""


class SettableClock:
    """Satisfies `app.ports.Clock`."""

    def __init__(self, loop: SimulationLoop, *, ahead_s: float) -> None:
        self.monotonic = loop.time
        self._ahead_s = ahead_s
        self.times_set = 0
        """How often it was set."""

    def now(self) -> float:
        """Return epoch seconds, as far as this clock knows."""
        return EPOCH + self.monotonic() + self._ahead_s

    def set(self, ahead_s: float) -> None:
        """Set the clock to so many seconds ahead of the true time."""
        self._ahead_s = ahead_s
        self.times_set += 1
