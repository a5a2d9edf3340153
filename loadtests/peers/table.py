"""Turns a run of the peers into tables: what each costs, and how this gateway stands to each.

`python -m loadtests.peers.table RUN.json bench.md` rewrites what stands between the markers
`<!-- bench:peers -->` and `<!-- bench:peers-ratios -->` of a document and their ends.
"""

import argparse
from pathlib import Path
from typing import Final

import msgspec

from loadtests.bench.figures import Figure, Key, ProgramName, Run, Work
from loadtests.bench.report import MIB, cell, table, written_into
from loadtests.peers.launching import DOES
from loadtests.peers.measuring import BURST, HELD, PACED, START, WHOLE

KIB: Final = 1024
TARGETS: Final[dict[ProgramName, tuple[float, float]]] = {
    "litellm": (20.0, 20.0),
    "codex-lb": (20.0, 10.0),
    "portkey": (5.0, 2.0),
}
"""How many times the peer's requests, and events, this gateway is to serve a CPU-second."""
ROWS: Final[tuple[tuple[ProgramName, Work], ...]] = (
    ("nginx", "forward"),
    ("haproxy", "forward"),
    ("gateway", "responses"),
    ("gateway", "chat"),
    ("gateway", "chat by chat"),
    ("litellm", "chat by chat"),
    ("portkey", "chat by chat"),
    ("codex-lb", "responses"),
    ("codex-lb", "chat"),
)


class PeersRun(msgspec.Struct):
    """A run of the peers, as it is saved."""

    run: Run
    versions: dict[ProgramName, str]
    missing: dict[ProgramName, str]
    """Why a peer was not measured."""
    sizes: dict[ProgramName, int]
    """Bytes of what was installed for a peer."""


def tables(found: PeersRun) -> dict[str, str]:
    """All tables, by the names of their markers."""
    return {
        "peers": _costs(found),
        "peers-ratios": _ratios(found.run),
        "peers-programs": _programs(found),
        "peers-faults": _faults(found.run),
    }


def ratio(run: Run, program: ProgramName, work: Work, scenario: str) -> float | None:
    """How many times as much this gateway does with a CPU-second, on the same work."""
    theirs = _figure(run, scenario, program, work, "cpu_us")
    ours = _figure(run, scenario, "gateway", work, "cpu_us")
    if theirs is None or ours is None or not ours.median:
        return None
    return theirs.median / ours.median


def _figure(
    run: Run, scenario: str, program: ProgramName, work: Work, metric: str
) -> Figure | None:
    return run.find(Key(scenario, "plain", program, work, metric))


def _costs(found: PeersRun) -> str:
    columns = (
        ("whole, CPU us", WHOLE, "cpu_us", 1.0, 0),
        ("burst event, CPU us", BURST, "cpu_us", 1.0, 1),
        ("paced event, CPU us", PACED, "cpu_us", 1.0, 1),
        ("events a read", PACED, "events_per_read", 1.0, 2),
        ("held, KiB a stream", HELD, "stream_bytes", 1 / KIB, 0),
        ("whole at the end", HELD, "whole_at_end", 1.0, 0),
        ("MiB at rest", HELD, "rss_before_bytes", 1 / MIB, 0),
        ("ready after s", START, "ready_s", 1.0, 1),
    )
    rows = []
    for program, work in ROWS:
        if program not in found.versions:
            continue
        name = program if work == "forward" else f"{program}, {work}"
        figures = [
            cell(_figure(found.run, scenario, program, work, metric), factor, digits)
            for _, scenario, metric, factor, digits in columns
        ]
        rows.append((name, *figures))
    return table(("Program", *(heading for heading, *_ in columns)), rows)


def _ratios(run: Run) -> str:
    rows = []
    for program, work in ROWS:
        if program not in TARGETS:
            continue
        requests_min, events_min = TARGETS[program]
        bounds = ((WHOLE, requests_min), (BURST, events_min), (PACED, events_min))
        rows.append((f"{program}, {work}", *(_against(run, program, work, *b) for b in bounds)))
    return table(("Against", "requests", "burst events", "paced events"), rows)


def _against(run: Run, program: ProgramName, work: Work, scenario: str, at_least: float) -> str:
    times = ratio(run, program, work, scenario)
    if times is None:
        return "-"
    verdict = "ok" if times >= at_least else "MISSED"
    return f"{times:.1f}x (at least {at_least:g}x: {verdict})"


def _programs(found: PeersRun) -> str:
    rows = []
    for program, does in DOES.items():
        if program in found.missing:
            rows.append((program, "-", f"not measured: {found.missing[program]}", "-"))
            continue
        if program not in found.versions:
            continue
        size = found.sizes.get(program)
        disk = "-" if size is None else f"{size / MIB:.0f}"
        rows.append((program, found.versions[program], does, disk))
    return table(("Program", "Version", "For each call it", "MiB on disk"), rows)


def _faults(run: Run) -> str:
    if not run.faults:
        return "Every request and every stream of every program ended properly."
    return "\n".join(["Not as it should be:", "", *(f"* {fault}" for fault in run.faults)])


def main() -> None:
    """Rewrite the tables of a document from a saved run."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.peers.table", description=__doc__)
    parser.add_argument("run", type=Path, help="what --json has written")
    parser.add_argument("document", type=Path)
    given = parser.parse_args()
    found = msgspec.json.decode(given.run.read_bytes(), type=PeersRun)
    text = written_into(given.document.read_text("utf-8"), tables(found))
    given.document.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
