"""Turns a saved run into tables, for the terminal and between the markers of bench.md.

`python -m loadtests.bench.report RUN.json bench.md` rewrites what stands between
`<!-- bench:NAME -->` and `<!-- /bench:NAME -->`; the words around stay. A figure is the median of
its repeats, with their range where it is over 10 %.
"""

import argparse
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from app.domain.runtime import Strategy
from loadtests.bench import pool
from loadtests.bench.figures import Figure, Key, Run, load
from loadtests.bench.targets import judged

RANGE_SHOWN_FROM: Final = 0.1
MIB: Final = 1 << 20
Column = tuple[str, str, float, int]
"""Heading, metric, factor, digits."""

_HELD: Final[Sequence[Column]] = (
    ("streams", "streams", 1, 0),
    ("whole at the end", "whole_at_end", 1, 0),
    ("bytes a stream", "stream_bytes", 1, 0),
    ("MiB before", "rss_before_bytes", 1 / MIB, 1),
    ("MiB with them", "rss_with_bytes", 1 / MIB, 1),
)
_COLUMNS: Final[dict[str, Sequence[Column]]] = {
    "requests": (
        ("CPU us a request", "cpu_us", 1, 0),
        ("requests/s", "per_s", 1, 0),
        ("p50 ms", "p50_ms", 1, 2),
        ("p99 ms", "p99_ms", 1, 2),
        ("its core %", "share", 100, 0),
        ("load core %", "load_share", 100, 0),
    ),
    "events": (
        ("CPU us an event", "cpu_us", 1, 1),
        ("events/s", "events_per_s", 1, 0),
        ("events a read", "events_per_read", 1, 2),
        ("its core %", "share", 100, 0),
        ("load core %", "load_share", 100, 0),
    ),
    "latency": (
        ("event p50 ms", "delay_p50_ms", 1, 2),
        ("event p99 ms", "delay_p99_ms", 1, 2),
        ("TTFB p50 ms", "ttfb_p50_ms", 1, 2),
        ("TTFB p99 ms", "ttfb_p99_ms", 1, 2),
        ("events/s", "events_per_s", 1, 0),
        ("its core %", "share", 100, 0),
        ("load core %", "load_share", 100, 0),
    ),
    "held": _HELD,
    "crowd": _HELD,
    "websocket": (
        ("CPU us a message", "cpu_us", 1, 1),
        ("messages/s", "events_per_s", 1, 0),
        ("its core %", "share", 100, 0),
        ("load core %", "load_share", 100, 0),
        ("held open", "streams", 1, 0),
        ("whole at the end", "whole_at_end", 1, 0),
        ("bytes each", "stream_bytes", 1, 0),
    ),
    "start": (
        ("ready after s", "ready_s", 1, 2),
        ("first answer after s", "answered_s", 1, 2),
        ("MiB at rest", "rss_bytes", 1 / MIB, 1),
        ("with many accounts: ready after s", "many_ready_s", 1, 2),
        ("first answer after s", "many_answered_s", 1, 2),
        ("MiB at rest", "many_rss_bytes", 1 / MIB, 1),
    ),
}


def tables(run: Run) -> dict[str, str]:
    """All tables that the run has figures for, by the name of their marker."""
    made = {"machine": _machine(run), "targets": _targets(run), "faults": _faults(run)}
    for scenario in _COLUMNS:
        if any(run.of(scenario)):
            made[scenario] = _scenario(run, scenario)
    if any(run.of(pool.NAME)):
        made[pool.NAME] = _pool(run)
    if any(run.of("aborts")):
        made["aborts"] = _aborts(run)
    return made


def written_into(document: str, made: dict[str, str]) -> str:
    """The document with each table between its markers; a marker without a table stays."""
    for name, text in made.items():
        pattern = rf"(<!-- bench:{name} -->\n).*?(<!-- /bench:{name} -->)"
        document = re.sub(pattern, _between(text), document, flags=re.DOTALL)
    return document


def _between(text: str) -> Callable[[re.Match[str]], str]:
    return lambda found: f"{found[1]}\n{text}\n\n{found[2]}"


def _machine(run: Run) -> str:
    rows = [*run.machine.items(), ("Date", run.began), ("Command", f"`{run.command}`")]
    return table(("What", "Value"), rows)


def _faults(run: Run) -> str:
    if not run.faults:
        return "Every stream ended properly, and the loader's core was never full."
    return "\n".join(["Not as it should be:", "", *(f"* {fault}" for fault in run.faults)])


def _targets(run: Run) -> str:
    rows = []
    for one in judged(run):
        target, value = one.target, one.value
        unit = "x nginx" if target.ratio else f" {target.unit}"
        found = "-" if value is None else f"{value:.2f}{unit}"
        rows.append((target.text, f"{target.at_most:g}{unit}", found, one.verdict))
    return table(("Target", "at most", "measured", "verdict"), rows)


def _scenario(run: Run, scenario: str) -> str:
    columns = _COLUMNS[scenario]
    lanes = list(
        dict.fromkeys((f.key.upstream, f.key.program, f.key.work) for f in run.of(scenario))
    )
    rows = []
    for upstream, program, work in lanes:
        name = program if work == "forward" else f"{program}, {work}"
        cells = []
        for _, metric, factor, digits in columns:
            figure = run.find(Key(scenario, upstream, program, work, metric))
            cells.append(cell(figure, factor, digits))
        rows.append((upstream, name, *cells))
    return table(("Upstream", "Program", *(heading for heading, *_ in columns)), rows)


def _pool(run: Run) -> str:
    rows = []
    for strategy in Strategy:
        costs = [run.find(pool.cost(strategy, size)) for size in pool.SIZES]
        growth = run.find(pool.growth(strategy))
        rows.append((strategy, *(cell(cost, 1, 1) for cost in costs), cell(growth, 1, 2)))
    sizes = [f"{size:,} accounts" for size in pool.SIZES]
    return table(("CPU us a call", *sizes, f"{pool.MANY:,} : {pool.FEW}"), rows)


def _aborts(run: Run) -> str:
    rows = []
    for figure in run.of("aborts"):
        key = figure.key
        values = ", ".join(f"{value:,.0f}" for value in figure.values)
        rows.append((key.upstream, key.metric.replace("_", " "), values))
    rows += [
        (upstream, "nothing left behind", _held_up(run, upstream))
        for upstream in dict.fromkeys(figure.key.upstream for figure in run.of("aborts"))
    ]
    return table(("Upstream", "What", "Value"), rows)


def _held_up(run: Run, upstream: str) -> str:
    missed = any(fault.startswith(f"aborts, {upstream}") for fault in run.faults)
    return "MISSED" if missed else "ok"


def cell(figure: Figure | None, factor: float, digits: int) -> str:
    """The median of a figure, with its range where that is wide."""
    if figure is None:
        return "-"
    low, middle, high = (f"{value * factor:.{digits}f}" for value in
                         (figure.low, figure.median, figure.high))  # fmt: skip
    wide = figure.high - figure.low > RANGE_SHOWN_FROM * abs(figure.median)
    return f"{middle} ({low}-{high})" if wide and low != high else middle


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, its columns as wide as they must be."""
    widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head))]
    lines = [head, ["-" * width for width in widths], *rows]
    return "\n".join(
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    )


def main() -> None:
    """Rewrite the tables of a document from a saved run."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.bench.report", description=__doc__)
    parser.add_argument("run", type=Path, help="what --json has written")
    parser.add_argument("document", type=Path)
    given = parser.parse_args()
    made = tables(load(given.run))
    text = given.document.read_text("utf-8")
    given.document.write_text(written_into(text, made), "utf-8")


if __name__ == "__main__":
    main()
