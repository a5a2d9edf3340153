"""How fast something is spent: a short memory of it, and what it says of the time to come. Pure.

The memory is a curve of what was spent in all, in at most `POINTS_MAX` points that are the denser
the later they are, so that minutes and days are both in it. A forecast for the next hour looks at
about the last hour, one for a week at the last week. How far it may be off is not assumed but
measured: the same rule is applied to earlier moments of the curve, where what came after is known.
A steady load earns a narrow interval, a load in bursts a wide one.
"""

from array import array
from bisect import bisect_right
from math import exp, log, sqrt
from typing import Final

from msgspec import Struct

POINTS_MAX: Final = 64
THINNING: Final = 0.75
"""How the distance of points grows with their age: 1 would be in proportion, 0 not at all."""
THINNED: Final = 6
"""One in so many points may be left out when there are too many, so that it is seldom done."""
SPACING_S: Final = 30.0
"""Points are no closer than this; what comes in between moves the last one."""
STEP_BACK_S: Final = 3_600.0
"""A clock that is set back by more than this begins a new memory."""
HORIZON_MIN_S: Final = 300.0
"""What is nearer is forecast like this: a shorter look back would see single calls."""
FLOOR: Final = 0.1
"""Share of the mean rate that is added before logarithms are taken, as a pause has none."""
PAUSE_SPANS: Final = 8.0
"""That mean is taken over so many times the time to come; a longer pause is the end of a load."""
IDLE: Final = 0.01
"""Share of the floor that the lowest rate is: a load that has stopped for now."""
SPAN_MAX: Final = 1.0 / 3.0
"""Share of the past that one test is about; longer ones would leave room for too few."""
TESTS_MAX: Final = 16
STRIDE: Final = 0.5
"""Tests begin this share of their span apart; as they overlap, each counts so much less."""
PRIOR_SIGMA: Final = 0.3
PRIOR_WEIGHT: Final = 1.0
"""A test that is added to those that were made: a load varies by a third, at least."""
TREND_WEIGHT: Final = 4.0
"""What speaks for no trend at all, as if seen so often."""


class Forecast(Struct, frozen=True):
    """The mean rate to expect over some time to come, in units a second.

    What is sure to be near a normal distribution is the logarithm of the rate plus `floor`.
    """

    mid: float
    floor: float
    sigma: float
    """Standard deviation of that logarithm."""

    def rate(self, z: float = 0.0, *, doubt: float = 0.0) -> float:
        """Return the rate that is `z` standard deviations above the median; never quite 0.

        `doubt` is a variance that comes on top.
        """
        shifted = (self.mid + self.floor) * exp(z * sqrt(self.sigma**2 + doubt))
        return max(shifted - self.floor, self.floor * IDLE)


class Burn:
    """What was spent, over time; `add` it up and ask for a `forecast`."""

    __slots__ = ("_at", "_points_max", "_spent")

    def __init__(self, now: float, *, points_max: int = POINTS_MAX) -> None:
        self._points_max = points_max
        self._at = array("d", (now,))
        self._spent = array("d", (0.0,))

    def __len__(self) -> int:
        return len(self._at)

    @property
    def spent(self) -> float:
        """What was spent in all."""
        return self._spent[-1]

    def add(self, amount: float, *, now: float) -> None:
        """Note that so much has been spent since the last time."""
        if now < self._at[-1] - STEP_BACK_S:
            self._at, self._spent = array("d", (now,)), array("d", (0.0,))
        spent = self._spent[-1] + amount
        if len(self._at) > 1 and now - self._at[-2] < SPACING_S:
            self._at[-1] = max(now, self._at[-1])
            self._spent[-1] = spent
            return
        if now <= self._at[-1]:
            self._spent[-1] = spent
            return
        self._at.append(now)
        self._spent.append(spent)
        if len(self._at) > self._points_max:
            self._thin(now)

    def forecast(self, horizon_s: float, *, now: float) -> Forecast | None:
        """Return the mean rate to expect over the next `horizon_s`; None if nothing is spent.

        A pause of several times the horizon means that nothing is.
        """
        known_s = now - self._at[0]
        if known_s <= 0.0:
            return None
        horizon_s = max(horizon_s, HORIZON_MIN_S)
        floor = FLOOR * self._rate(now - min(known_s, PAUSE_SPANS * horizon_s), now)
        if floor <= 0.0:
            return None
        span_s = min(horizon_s, known_s * SPAN_MAX)
        errors = self._errors(span_s, floor, now)
        seen = STRIDE * len(errors)
        trend = STRIDE * sum(errors) / (seen + TREND_WEIGHT)
        squares = STRIDE * sum((error - trend) ** 2 for error in errors)
        freedom = seen + PRIOR_WEIGHT
        variance = (squares + PRIOR_WEIGHT * self._prior(span_s, floor, now)) / freedom
        # A spread that is known from few tests is itself uncertain: the nine-in-ten quantile of
        # Student's distribution is wider than that of the normal one by very nearly this factor.
        sigma = sqrt(variance) * (1.0 + 0.8 / freedom)
        mid = (self._recent(horizon_s, now) + floor) * exp(trend) - floor
        return Forecast(mid, floor, sigma)

    def _prior(self, span_s: float, floor: float, now: float) -> float:
        """Return the variance to assume of one test: what shorter spans show, of which more fit."""
        shorter = self._errors(span_s / 4.0, floor, now)
        seen = sum(error**2 for error in shorter) / len(shorter) if shorter else 0.0
        return max(seen, PRIOR_SIGMA**2)

    def _thin(self, now: float) -> None:
        """Leave out some inner points that are least missed: close neighbours, long ago."""
        at, spent = self._at, self._spent
        inner = range(1, len(at) - 1)
        gaps = ((at[i + 1] - at[i - 1]) / (now - at[i] + SPACING_S) ** THINNING for i in inner)
        dropped: set[int] = set()
        for _, index in sorted(zip(gaps, inner, strict=True))[: self._points_max // THINNED]:
            # With a neighbour gone it would be missed more.
            if dropped.isdisjoint((index - 1, index + 1)):
                dropped.add(index)
        kept = [index for index in range(len(at)) if index not in dropped]
        self._at = array("d", [at[index] for index in kept])
        self._spent = array("d", [spent[index] for index in kept])

    def _spent_by(self, at: float) -> float:
        """Return what had been spent by then."""
        right = bisect_right(self._at, at)
        if right == 0:
            return 0.0
        if right == len(self._at):
            return self._spent[-1]
        left = right - 1
        share = (at - self._at[left]) / (self._at[right] - self._at[left])
        before, after = self._spent[left], self._spent[right]
        return before + share * (after - before)

    def _rate(self, since: float, until: float) -> float:
        return (self._spent_by(until) - self._spent_by(since)) / (until - since)

    def _recent(self, horizon_s: float, now: float) -> float:
        """Return the rate of the time before `now` that is as long as the one to come."""
        known_s = now - self._at[0]
        return self._rate(now - min(known_s, max(horizon_s, HORIZON_MIN_S)), now)

    def _errors(self, span_s: float, floor: float, now: float) -> list[float]:
        """Return by how much, as a logarithm, earlier moments would have expected too little."""
        errors = []
        for test in range(TESTS_MAX):
            origin = now - span_s * (1.0 + test * STRIDE)
            if origin - self._at[0] < span_s:
                break
            came = self._rate(origin, origin + span_s)
            errors.append(log((came + floor) / (self._recent(span_s, origin) + floor)))
        return errors
