"""Tests of app.clock."""

import time

from app.clock import SystemClock


def test_the_clock_is_the_machines() -> None:
    """Both kinds of time are the ones that the operating system tells."""
    before, before_monotonic = time.time(), time.monotonic()
    clock = SystemClock()
    assert before <= clock.now() <= time.time()
    assert before_monotonic <= clock.monotonic() <= time.monotonic()
