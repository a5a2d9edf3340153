"""A token bucket: so many units a minute, and no more than a minute's worth at once. Pure.

What is taken before its true size is known may turn out larger; then the level goes below zero and
is filled up again before anything else is let through. A refusal takes nothing, so whoever keeps
asking is not kept out any longer for it.
"""

from typing import Final

from msgspec import Struct

MINUTE_S: Final = 60.0


class Bucket(Struct):
    """The level of one key's bucket; `limit` is both its size and what flows in each minute."""

    level: float
    at: float
    """When `level` was true, in seconds of any clock that never steps."""

    def fill(self, limit: int, *, now: float) -> None:
        """Let in what has come since the last time."""
        # Comparisons, as calls of `min` and `max` are half of what a limit costs a call.
        level, passed_s = self.level, now - self.at
        if passed_s > 0.0:
            level += passed_s * limit / MINUTE_S
        self.level = level if level < limit else float(limit)
        self.at = now

    def wait_s(self, wanted: float, limit: int, *, now: float) -> float:
        """Return how long until `wanted` units are there; 0 if they are now.

        More than the bucket can ever hold is let through when it is full: it would never pass
        otherwise, and the debt that it leaves keeps the rate.
        """
        self.fill(limit, now=now)
        missing = min(wanted, limit) - self.level
        return missing * MINUTE_S / limit if missing > 0.0 else 0.0

    def take(self, units: float) -> None:
        """Take units, or give some back where they are negative."""
        self.level -= units

    def lose(self, units: float, limit: int, *, now: float) -> None:
        """Take what was taken elsewhere before anybody knew here.

        That leaves no debt of more than a minute's worth: nobody is kept out for longer.
        """
        self.fill(limit, now=now)
        self.level = max(self.level - units, min(self.level, -float(limit)))

    def full_in_s(self, limit: int) -> float:
        """Return how long until the bucket is full again."""
        return max(0.0, (limit - self.level) * MINUTE_S / limit)
