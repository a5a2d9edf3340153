"""Tests of app.telemetry.flow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.telemetry.flow import PARTS, Flow

ADDED = "codex2api_event_added_latency_seconds"


class Times:
    """A clock that says what it is told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def samples(flow: Flow) -> dict[tuple[str, ...], float]:
    """Return all samples by name and labels."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in flow.families()
        for sample in family.samples
    }


def test_a_piece_has_three_parts():
    """What it waited for upstream, in here, and for its caller."""
    clock = Times()
    flow = Flow(clock)
    clock.now = 10.0 + 1.5 + 0.001 + 0.1
    assert flow.passed(10.0, 11.5, 11.501) == clock.now
    seen = samples(flow)
    for part, seconds in zip(PARTS, (1.5, 0.001, 0.1), strict=True):
        assert seen[f"{ADDED}_count", part] == 1
        assert seen[f"{ADDED}_sum", part] == pytest.approx(seconds)
    assert seen["codex2api_stream_gap_seconds_sum",] == pytest.approx(1.5)
    assert seen[f"{ADDED}_bucket", "upstream", "1.0"] == 0
    assert seen[f"{ADDED}_bucket", "upstream", "2.0"] == 1
    assert seen[f"{ADDED}_bucket", "gateway", "0.0009765625"] == 0
    assert seen[f"{ADDED}_bucket", "gateway", "0.001953125"] == 1


@given(st.floats(0.0, 1e6))
def test_every_duration_falls_into_its_bucket(seconds):
    """No time at all is the shortest, and hours are in the last one."""
    clock = Times()
    flow = Flow(clock)
    flow.passed(0.0, seconds, seconds)
    found = {key[-1]: value for key, value in samples(flow).items() if key[0].endswith("_bucket")
             and key[1] == "upstream"}  # fmt: skip
    assert list(found.values()) == sorted(found.values())
    for bound, count in found.items():
        # A duration on a bound, to the last digit, may count for the next one.
        if abs(seconds - float(bound)) > 1e-9:
            assert count == (seconds < float(bound))
