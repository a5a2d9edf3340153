"""The bench itself works; nothing here says how fast anything is."""

import os
import signal
import sys
from pathlib import Path

import pytest

from loadtests.bench import crowd, nginx
from loadtests.bench.__main__ import main
from loadtests.bench.figures import load
from loadtests.bench.rig import QUICK

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="the bench reads Linux's /proc"),
    pytest.mark.skipif(nginx.command() is None, reason="nginx, the reference, is not installed"),
]


@pytest.fixture
def affinity():
    """Give this process its cores and signal handlers back after a bench."""
    before = os.sched_getaffinity(0)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    os.sched_setaffinity(0, before)
    for number, handler in handlers.items():
        signal.signal(number, handler)


def measured(tmp_path: Path, *words: str) -> dict[tuple[str, str, str], float]:
    """Run the bench quickly; return the medians by scenario, program and metric."""
    assert main([*words, "--quick", "--json", str(tmp_path / "run.json")]) == 0
    figures = load(tmp_path / "run.json").figures
    return {(f.key.scenario, f.key.program, f.key.metric): f.median for f in figures}


@pytest.mark.usefixtures("affinity")
def test_a_quick_run_has_figures_of_both_programs(tmp_path):
    """Every scenario gives the figures that the targets are judged by."""
    found = measured(tmp_path, "requests", "events", "latency", "held", "--tls")
    for program in ("nginx", "gateway"):
        assert found["requests", program, "cpu_us"] > 0
        assert found["events", program, "cpu_us"] > 0
        assert found["latency", program, "delay_p99_ms"] > 0
        assert found["latency", program, "ttfb_p99_ms"] > 0
        assert found["held", program, "streams"] > 0


@pytest.mark.usefixtures("affinity")
def test_a_start_is_measured(tmp_path):
    """The gateway is started again on the same data."""
    found = measured(tmp_path, "start", "--plain", "--program", "gateway")
    assert 0 < found["start", "gateway", "ready_s"] < found["start", "gateway", "answered_s"]
    assert found["start", "gateway", "many_ready_s"] > 0
    assert found["start", "gateway", "many_rss_bytes"] > 0


@pytest.mark.skipif(bool(crowd.missing()), reason="Postgres or Redis is not installed")
@pytest.mark.usefixtures("affinity")
def test_a_crowd_is_held_by_two_workers(tmp_path):
    """All streams are open at once, and whole at the end."""
    found = measured(tmp_path, "crowd", "--plain", "--program", "gateway")
    assert found["crowd", "gateway", "streams"] == QUICK.crowd
    assert found["crowd", "gateway", "whole_at_end"] == QUICK.crowd
    assert found["crowd", "gateway", "stream_bytes"] > 0


@pytest.mark.usefixtures("affinity")
def test_a_crowd_is_not_measured_without_servers(tmp_path, monkeypatch, capsys):
    """It is said what there is not."""
    monkeypatch.setattr(crowd, "program", lambda _: None)
    assert not measured(tmp_path, "crowd", "--plain", "--program", "gateway")
    assert "not measured, PostgreSQL and Redis not installed" in capsys.readouterr().out


def test_an_unknown_scenario_is_refused(capsys):
    """The message names what is unknown."""
    with pytest.raises(SystemExit, match="2"):
        main(["speed"])
    assert "no such scenario: speed" in capsys.readouterr().err
