"""From figures of the peers to tables and verdicts."""

from loadtests.bench.figures import Figure, Key, Run
from loadtests.peers.measuring import BURST, HELD, PACED, WHOLE
from loadtests.peers.table import PeersRun, ratio, tables


def figure(program, work, value, *, scenario=WHOLE, metric="cpu_us") -> Figure:
    """Return a figure that was measured once."""
    return Figure(Key(scenario, "plain", program, work, metric), (value,))


def found(*figures, missing=None) -> PeersRun:
    """Return a run of three programs."""
    run = Run("2026-01-01", "python -m loadtests.peers", {"Kernel": "Linux"}, list(figures))
    versions = {"gateway": "this tree", "litellm": "1.2.3", "codex-lb": "4.5.6"}
    return PeersRun(run, versions, missing or {}, {"litellm": 600 << 20})


def test_a_peer_is_held_against_the_gateway_on_the_same_work():
    """Not against the work that looks best."""
    run = found(
        figure("gateway", "chat", 10.0),
        figure("gateway", "chat by chat", 500.0),
        figure("litellm", "chat by chat", 10_000.0),
    ).run
    assert ratio(run, "litellm", "chat by chat", WHOLE) == 20.0
    assert ratio(run, "codex-lb", "chat", WHOLE) is None


def test_a_bound_is_kept_or_missed():
    """Requests and events have bounds of their own."""
    text = tables(
        found(
            figure("gateway", "chat", 100.0),
            figure("codex-lb", "chat", 2_000.0),
            figure("gateway", "chat", 50.0, scenario=PACED),
            figure("codex-lb", "chat", 499.0, scenario=PACED),
        )
    )["peers-ratios"]
    assert "20.0x (at least 20x: ok)" in text
    assert "10.0x (at least 10x: MISSED)" in text


def test_a_peer_that_wins_is_seen_to_win():
    """The ratio falls below one, and nothing hides it."""
    burst = figure("gateway", "chat by chat", 20.0, scenario=BURST)
    better = figure("litellm", "chat by chat", 10.0, scenario=BURST)
    assert "0.5x (at least 20x: MISSED)" in tables(found(burst, better))["peers-ratios"]


def test_a_peer_that_could_not_be_had_stands_there_with_its_reason():
    """And has no row among the costs."""
    made = tables(found(missing={"portkey": "Node is not installed"}))
    assert "not measured: Node is not installed" in made["peers-programs"]
    assert "portkey" not in made["peers"]


def test_what_a_program_needs_is_in_the_table():
    """Memory is shown in units that people read."""
    held = figure("litellm", "chat by chat", 4096.0, scenario=HELD, metric="stream_bytes")
    row = next(line for line in tables(found(held))["peers"].splitlines() if "litellm" in line)
    assert " 4 " in row
    assert "600" in tables(found(held))["peers-programs"]
