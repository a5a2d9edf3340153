"""How many attempts may be made again, over all calls: an outage must not be multiplied. Pure.

Each call may be tried a few times. When everything fails at once, that would turn a load that the
upstream can't carry into several times that load. So second attempts after an overload, a break or
a route that is down are a share of the calls of the last seconds, plus a few for a gateway that has
hardly any calls. A failure that takes its account out of the choice (a limit, a credential, a
model) bounds itself and is not charged.

`now` is a clock that never steps. Nothing here decides what is tried again: that is `verdict`.
"""

from typing import Final

WINDOW_S: Final = 10
SHARE: Final = 0.2
"""An upstream that refuses half of all calls for a while still lets most of them through in the
end, and one that refuses all of them gets a fifth more than without retries."""
RETRIES_MIN: Final = 10
"""In each window, whatever the calls: one caller alone meets its first failures unnoticed."""


class RetryBudget:
    """Counts calls and retries of the last `WINDOW_S` seconds, in buckets of one second."""

    __slots__ = ("_calls", "_calls_sum", "_retries", "_retries_min", "_retries_sum", "_second")

    def __init__(self, *, retries_min: int = RETRIES_MIN) -> None:
        self._retries_min = retries_min
        self._calls = [0] * WINDOW_S
        self._retries = [0] * WINDOW_S
        self._calls_sum = 0
        self._retries_sum = 0
        self._second = 0

    def count(self, now: float) -> None:
        """Count a call, whatever becomes of it; once for each."""
        if int(now) > self._second:
            self._turn(int(now))
        self._calls[self._second % WINDOW_S] += 1
        self._calls_sum += 1

    def spend(self, now: float) -> bool:
        """Take one retry out of the budget; False if there is none."""
        if int(now) > self._second:
            self._turn(int(now))
        if self._retries_sum >= self._retries_min + int(SHARE * self._calls_sum):
            return False
        self._retries[self._second % WINDOW_S] += 1
        self._retries_sum += 1
        return True

    def empty_for_s(self, now: float) -> float:
        """Return when the oldest retries leave the window, which makes room: seconds from now."""
        if int(now) > self._second:
            self._turn(int(now))
        oldest = self._second - WINDOW_S + 1
        seconds = range(oldest, self._second + 1)
        spent = (second for second in seconds if self._retries[second % WINDOW_S])
        return max(0.0, next(spent, oldest - 1) + WINDOW_S - now)

    def _turn(self, second: int) -> None:
        """Empty the buckets of the seconds that are over by now."""
        for passed in range(max(self._second, second - WINDOW_S) + 1, second + 1):
            at = passed % WINDOW_S
            self._calls_sum -= self._calls[at]
            self._retries_sum -= self._retries[at]
            self._calls[at] = self._retries[at] = 0
        self._second = second
