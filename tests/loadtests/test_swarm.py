"""Courses and thresholds of the locust suite; its users run in `test_locust`.

Locust itself is not imported: it would make every socket of this process another one.
"""

import pytest

from loadtests.swarm.courses import COURSES, STORMS
from loadtests.swarm.thresholds import Entry, missed

SLOW = Entry("/v1/responses TTFT", 1_200.0)


@pytest.mark.parametrize(
    ("requests", "failed", "entries", "expected"),
    [
        (10, 0.0, [Entry("/v1/responses TTFT", 900.0)], []),
        (0, 0.0, [], ["nothing was asked"]),
        (10, 0.1, [], ["10.00% failed"]),
        (10, 0.0, [SLOW], ["/v1/responses TTFT: p95 1200 ms is over 1000 ms"]),
        (10, 0.0, [Entry("/v1/responses total", 9_000.0)], []),
    ],
)
def test_each_threshold_is_told(requests, failed, entries, expected):
    """Totals have none: answers are as long as they are."""
    assert list(missed(requests, failed, entries)) == expected


def test_a_threshold_can_be_set(monkeypatch):
    """For machines that are slower, and for promises that are stricter."""
    monkeypatch.setenv("LOAD_TTFT_MS", "1500")
    assert list(missed(1, 0.0, [SLOW])) == []


EXPECTED = {
    "steady": [10, 10, 10, 10, 10],
    "step": [2, 4, 6, 8, 10],
    "spike": [1, 1, 10, 1, 1],
    "soak": [10, 10, 10, 10, 10],
    "reconnect": [10, 10, 10, 10, 10],
}


@pytest.mark.parametrize("name", COURSES)
def test_a_load_has_its_course(name):
    """Of ten users, looked at in the middle of each fifth."""
    found = [max(1, round(10 * COURSES[name](at))) for at in (0.1, 0.3, 0.5, 0.7, 0.9)]
    assert found == EXPECTED[name]


def test_a_storm_of_reconnects_has_its_calms():
    """Four times all but a tenth go, and come back at once."""
    gone = [COURSES["reconnect"](at / 1_000) < 1 for at in range(1_000)]
    assert sum(gone) == pytest.approx(100, abs=5)
    assert sum(a and not b for a, b in zip(gone[1:], gone, strict=False)) == STORMS
