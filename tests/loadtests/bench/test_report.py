"""From figures to verdicts and tables."""

from loadtests.bench.aborts import Traces, leaks
from loadtests.bench.figures import Figure, Key, Run, load
from loadtests.bench.report import tables, written_into
from loadtests.bench.targets import judged


def figure(program, work, *values, scenario="events", metric="cpu_us") -> Figure:
    """Return a figure over TLS."""
    return Figure(Key(scenario, "tls", program, work, metric), values)


def run(*figures) -> Run:
    """Return a run with these figures."""
    return Run("2026-01-01", "python -m loadtests.bench", {"Kernel": "Linux"}, list(figures))


def verdicts(found: Run) -> dict[str, str]:
    """Return the verdict on each target that was measured."""
    return {one.target.text: one.verdict for one in judged(found) if one.value is not None}


def test_a_ratio_is_judged_by_the_medians_of_the_same_run():
    """A single outlier decides nothing."""
    nginx = figure("nginx", "forward", 20.0, 21.0, 99.0)
    good = figure("gateway", "responses", 39.0, 1.0, 43.0)
    bad = figure("gateway", "chat", 53.0, 54.0, 55.0)
    assert verdicts(run(nginx, good, bad)) == {
        "CPU of an event passed through, TLS": "ok",
        "CPU of an event translated to chat, TLS": "MISSED",
    }


def test_without_nginx_no_ratio_is_judged():
    """The gateway's figures alone keep or miss no ratio."""
    assert verdicts(run(figure("gateway", "responses", 42.0))) == {}


def test_a_saved_run_reads_back_the_same(tmp_path):
    """What is rendered later is what was measured."""
    before = run(figure("nginx", "forward", 20.0, 21.0))
    before.save(tmp_path / "deep" / "run.json")
    assert load(tmp_path / "deep" / "run.json") == before


def test_tables_stand_between_their_markers_and_the_words_stay():
    """Writing twice gives the same document."""
    made = tables(run(figure("nginx", "forward", 20.0, 40.0, 30.0)))
    document = "# Figures\n<!-- bench:events -->\nold\n<!-- /bench:events -->\nwords\n"
    once = written_into(document, made)
    assert "30.0 (20.0-40.0)" in once
    assert "old" not in once
    assert once.endswith("words\n")
    assert written_into(once, made) == once


def test_what_aborted_streams_leave_behind_is_named():
    """A gauge that is not zero, descriptors, threads and memory are each a sentence."""
    before = Traces(1_000_000, 50, 8, {})
    clean = Traces(1_500_000, 52, 8, {"streams_in_flight": 0.0})
    leaky = Traces(90_000_000, 5_000, 80, {"streams_in_flight": 3.0})
    assert leaks(before, clean, 10_000) == []
    assert len(leaks(before, leaky, 10_000)) == 4
