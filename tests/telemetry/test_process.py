"""Tests of app.telemetry.process."""

import resource
import sys
from pathlib import Path

import pytest

from app.telemetry import process


def test_a_process_takes_memory_and_time():
    """In bytes and in seconds."""
    assert 1 << 20 < process.resident_bytes() < 1 << 40
    before = process.cpu_s()
    sum(range(1_000_000))
    assert process.cpu_s() >= before > 0


@pytest.mark.parametrize("listed", [False, True])
def test_a_process_has_descriptors(monkeypatch, listed):
    """Some systems count them, on others they are listed; there is a most of them."""
    if listed:
        monkeypatch.setattr(process.sys, "platform", "darwin")
    before = process.descriptors()
    with Path(__file__).open("rb"):
        assert process.descriptors() == before + 1
    assert before < process.descriptors_max()


def test_a_system_may_allow_any_number_of_descriptors(monkeypatch):
    """Which is never reached."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY,) * 2)
    assert process.descriptors_max() == sys.maxsize


def test_where_memory_is_not_told_the_most_counts(monkeypatch):
    """As on macOS."""
    monkeypatch.setattr(process, "_STATM", Path("/nowhere"))
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert process.resident_bytes() >= most
