"""Where the time of each event goes: waited for upstream, held in here, taken by the caller.

This is counted for every piece of every stream, so it is written for speed: a duration falls into
the bucket of its binary exponent, and everything else is done at a scrape. A microsecond an event
is what it may cost; `tests/bench/flow.py` measures it.
"""

from collections.abc import Callable, Iterator
from math import frexp
from typing import Final

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.metrics_core import Metric

LEAST: Final = -16
"""The first bucket ends at 2 to the power of this, in seconds: 15 us."""
MOST: Final = 7
"""And the last one that has an end at two minutes."""
_SLOTS: Final = 128
PARTS: Final = ("upstream", "gateway", "caller")
_NONE: Final = 2.0**-40
"""Added to every duration, so that none is zero, which has no exponent."""


Passed = Callable[[float, float, float], float]
"""Counts one piece that the caller's side has just taken, and returns the time.

It was asked for, it came, and it was made into what the caller gets: three moments of the monotonic
clock.
"""


class Flow:
    """Counts what becomes of the pieces of streams; one a worker."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        # By exponent; those below zero count from the end of the list.
        self._counts = [[0] * _SLOTS for _ in PARTS]
        self._totals = [0.0] * len(PARTS)
        self.passed = _counting(monotonic, self._counts, self._totals)

    def families(self) -> Iterator[Metric]:
        """Yield everything as Prometheus metric families."""
        added = HistogramMetricFamily(
            "codex2api_event_added_latency_seconds",
            "What a piece of a stream waited for: its upstream, the gateway, and its caller.",
            labels=("part",),
        )
        for part, counts, total in zip(PARTS, self._counts, self._totals, strict=True):
            added.add_metric((part,), _buckets(counts), total)
        yield added
        gaps = HistogramMetricFamily(
            "codex2api_stream_gap_seconds", "How long an upstream let a stream wait for more."
        )
        gaps.add_metric((), _buckets(self._counts[0]), self._totals[0])
        yield gaps


def _counting(
    monotonic: Callable[[], float], counts: list[list[int]], totals: list[float]
) -> Passed:
    """Return what counts; a closure costs two thirds of a method with the same lines."""
    upstream, gateway, caller = counts

    def passed(asked: float, came: float, made: float) -> float:
        now = monotonic()
        waited, held, taken = came - asked + _NONE, made - came + _NONE, now - made + _NONE
        upstream[frexp(waited)[1]] += 1
        gateway[frexp(held)[1]] += 1
        caller[frexp(taken)[1]] += 1
        totals[0] += waited
        totals[1] += held
        totals[2] += taken
        return now

    return passed


def _buckets(counts: list[int]) -> list[tuple[str, float]]:
    """Return the cumulative counts as Prometheus wants them."""
    # Everything shorter than the first bucket lies behind the middle of the list.
    running = sum(counts[_SLOTS // 2 : _SLOTS + LEAST + 1])
    found = [(_bound(LEAST), float(running))]
    for exponent in range(LEAST + 1, MOST + 1):
        running += counts[exponent]
        found.append((_bound(exponent), float(running)))
    return [*found, ("+Inf", float(sum(counts)))]


def _bound(exponent: int) -> str:
    return repr(2.0**exponent)
