"""The machine's clock; the only reader of it.

The gateway plans in epoch seconds: upstreams name the end of a limit, tokens their own end. Yet the
wall clock may step (a time server's correction, a machine that was paused, a wrong `date`), and a
step that were simply believed would end every rest and every credential at once, or prolong them.
So `now` is anchored: the wall clock as it was at the start, plus what a steady clock has counted
since. That one also counts while the machine sleeps, so a laptop that wakes up is at once where it
should be. `correct`, called about once a second, then moves the anchor:

1. A difference of up to `STEP_S` is drift. It is closed by at most `SLEW` seconds a second, which
   no rest and no deadline notices.
2. A larger one is at first only watched, for `HOLD_S` seconds. If the wall clock is wrong for a
   moment, nothing happens at all: no rest ends early, nothing expires.
3. One that is still there after that, and of the same size to `SAME_S`, is a correction and is
   taken over in one step, in either direction. A wall clock that jumps about, or runs too fast, is
   never of one size for so long and is never followed. Time in which nobody looked does not count.

What the wait costs where the wall clock was right all along: if it went forward, rests last a
minute too long, and a token that has ended meets a 401, which renews it within the call. If it
went back, it was wrong at the start, and for one minute more accounts may be asked too early, as
they were since then; their refusals name the reset anew. In the end `now` is the wall clock's, so
what an upstream named in epoch seconds is right, whenever it was heard. A rest that was named by
its length was planned from the `now` of that time: a step back prolongs it, a step forward shortens
it, which is the price of a real correction and paid once. A wrong clock that nobody mends within
the minute is believed; an account whose rest it ends too early costs one refused call and rests
again.

Not here: what is measured or waited for. That is `monotonic`, which no correction touches; timers
of the event loop run on it too.
"""

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Final

STEP_S: Final = 5.0
"""A difference above this is a step; below it are leap seconds and the drift of a long outage of
the time server."""
SLEW: Final = 0.01
HOLD_S: Final = 60.0
SAME_S: Final = 1.0
BEAT_MAX_S: Final = 2.0
"""As much of the time between two looks counts as seen."""

# Linux stops its monotonic clock while the machine sleeps and has this one besides; elsewhere the
# system's own monotonic clock counts on.
_STEADY: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

logger = logging.getLogger(__name__)


# Functions of the machine itself, not functions around them: each call asks several times.
_machines_wall: Final[Callable[[], float]] = time.time  # noqa: TID251 - this is the Clock
_machines_steady: Final[Callable[[], float]] = partial(time.clock_gettime, _STEADY)


class SystemClock:
    """Time as the machine tells it; see `app.ports.Clock`. A test brings clocks of its own."""

    def __init__(
        self,
        *,
        wall: Callable[[], float] = _machines_wall,
        steady: Callable[[], float] = _machines_steady,
    ) -> None:
        # Likewise, and called for every event.
        self.monotonic = time.monotonic  # noqa: TID251 - this is the Clock
        self._wall = wall
        self._steady = steady
        self._anchor = wall() - steady()
        self._looked_at = steady()
        self._held_s = 0.0
        self._held_ahead_s: float | None = None

    def now(self) -> float:
        """Return epoch seconds that no sudden change of the wall clock reaches."""
        return self._anchor + self._steady()

    def correct(self) -> float:
        """Compare with the wall clock and follow it; return the step taken, nearly always 0.

        Call it about once a second. Without calls `now` still runs, but drifts.
        """
        steady = self._steady()
        elapsed_s = min(max(steady - self._looked_at, 0.0), BEAT_MAX_S)
        self._looked_at = steady
        ahead_s = self._wall() - self._anchor - steady
        if abs(ahead_s) <= STEP_S:
            self._held_ahead_s = None
            most_s = SLEW * elapsed_s
            self._anchor += min(max(ahead_s, -most_s), most_s)
            return 0.0
        if not self._held_for_long(ahead_s, elapsed_s):
            return 0.0
        self._held_ahead_s = None
        self._anchor += ahead_s
        logger.warning(
            "the wall clock was set and is followed now", extra={"step_s": round(ahead_s, 3)}
        )
        return ahead_s

    def _held_for_long(self, ahead_s: float, elapsed_s: float) -> bool:
        if self._held_ahead_s is None or abs(ahead_s - self._held_ahead_s) > SAME_S:
            self._held_ahead_s = ahead_s
            self._held_s = 0.0
            return False
        self._held_s += elapsed_s
        return self._held_s >= HOLD_S
