"""Tests of app.telemetry.process."""

import resource
from pathlib import Path

from app.telemetry import process


def test_a_process_takes_memory_and_time():
    """In bytes and in seconds."""
    assert 1 << 20 < process.resident_bytes() < 1 << 40
    before = process.cpu_s()
    sum(range(1_000_000))
    assert process.cpu_s() >= before > 0


def test_where_memory_is_not_told_the_most_counts(monkeypatch):
    """As on macOS."""
    monkeypatch.setattr(process, "_STATM", Path("/nowhere"))
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert process.resident_bytes() >= most
