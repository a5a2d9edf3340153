"""The gate of CPU: what costs clearly more than the recorded run fails, and nothing else does."""

from pathlib import Path

import msgspec
import pytest

from loadtests.bench.figures import Figure, Key, Run
from loadtests.bench.gate import Baseline, Change, main, ratios

ROOT = Path(__file__).resolve().parents[3]


def run(gateway_us: float, *, faults: tuple[str, ...] = (), work: str = "chat") -> Run:
    """Return a run in which nginx took 20 us an event."""
    keys = (
        (Key("events", "tls", "nginx", "forward", "cpu_us"), 20.0),
        (Key("events", "tls", "gateway", work, "cpu_us"), gateway_us),
        (Key("events", "plain", "gateway", work, "cpu_us"), 70.0),
        (Key("latency", "tls", "gateway", work, "cpu_us"), 70.0),
        (Key("events", "tls", "gateway", work, "share"), 0.5),
    )
    figures = [Figure(key, (value, value, 10 * value)) for key, value in keys]
    return Run("2026-01-01 00:00 UTC", "bench", {"Python": "3.11.2"}, figures, list(faults))


def saved(folder: Path, found: Run, ratio: float | None = None) -> list[str]:
    """Save a run and, with a ratio, the recorded one; return the arguments that name them."""
    found.save(folder / "run.json")
    if ratio is not None:
        recorded = Baseline("then", "3.11.2", {"events, tls, chat": ratio})
        (folder / "baseline.json").write_bytes(msgspec.json.encode(recorded))
    return [str(folder / "run.json"), str(folder / "baseline.json")]


def test_medians_are_compared_with_nginx_where_both_were_measured():
    """Neither what nginx did not do, nor what is no CPU of an event, is looked at."""
    assert ratios(run(44.0)) == {"events, tls, chat": 2.2}


@pytest.mark.parametrize(("us", "status"), [(20.0, 0), (40.0, 0), (45.9, 0), (46.1, 1)])
def test_fifteen_per_cent_more_fail(tmp_path, capsys, us, status):
    """What got cheaper, or a little dearer, passes."""
    assert main(saved(tmp_path, run(us), 2.0)) == status
    said = capsys.readouterr().out
    assert ("MORE THAN +15%" in said) is bool(status)
    assert f"2.00x -> {us / 20:.2f}x nginx" in said


def test_what_is_recorded_must_be_measured(tmp_path, capsys):
    """Or a gate would open by measuring less; what is new passes."""
    assert main(saved(tmp_path, run(40.0, work="messages"), 2.0)) == 1
    said = capsys.readouterr().out
    assert "NOT MEASURED, 2.00x nginx recorded" in said
    assert "2.00x nginx, not recorded yet" in said
    assert not Change("new", None, 9.9).fails


def test_a_run_that_is_not_valid_passes_nothing(tmp_path, capsys):
    """It is neither judged as good nor kept."""
    arguments = saved(tmp_path, run(40.0, faults=("events came in lumps",)), 2.0)
    assert main(arguments) == 1
    assert main([*arguments, "--keep"]) == 1
    assert "not valid: events came in lumps" in capsys.readouterr().out
    assert b"then" in (tmp_path / "baseline.json").read_bytes()


def test_a_run_is_kept(tmp_path, capsys):
    """And is what the next one is compared with."""
    arguments = saved(tmp_path, run(40.0))
    assert main([*arguments, "--keep"]) == 0
    assert "Recorded in" in capsys.readouterr().out
    assert main(arguments) == 0
    assert "2.00x -> 2.00x nginx (+0%) ok" in capsys.readouterr().out


def test_what_is_recorded_in_the_repository_can_be_read():
    """Every way that an event can take, over TLS."""
    text = (ROOT / "loadtests" / "bench" / "baseline.json").read_bytes()
    recorded = msgspec.json.decode(text, type=Baseline)
    ways = ("responses", "chat", "messages", "responses by chat", "chat by chat")
    assert set(recorded.ratios) == {f"events, tls, {work}" for work in ways}
