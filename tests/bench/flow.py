"""What it costs to split the time of one event of a stream, the readings of the clock included.

PYTHONPATH=. .venv/bin/python tests/bench/flow.py
"""

import time
from collections.abc import Callable

from app.telemetry.flow import Flow

ROUNDS, TRIES = 300_000, 9
MOST_US = 1.0


def split() -> None:
    """Do what the data plane does for each event."""
    monotonic = time.monotonic
    passed = Flow(monotonic).passed
    asked = monotonic()
    for _ in range(ROUNDS):
        came = monotonic()
        made = monotonic()
        asked = passed(asked, came, made)


def nothing() -> None:
    """Go round as often."""
    for _ in range(ROUNDS):
        pass


def seconds(work: Callable[[], None]) -> float:
    """Return the CPU time of the quickest of a few tries: what others took is not ours."""
    best = float("inf")
    for _ in range(TRIES):
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return best


if __name__ == "__main__":
    cost_us = (seconds(split) - seconds(nothing)) / ROUNDS * 1e6
    verdict = "ok" if cost_us <= MOST_US else "MISSED"
    print(f"{cost_us:.2f} us an event, at most {MOST_US:.1f}: {verdict}")
