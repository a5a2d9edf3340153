"""`make bench-gate`: fails where an event costs clearly more CPU than it used to.

    python -m loadtests.bench.gate build/gate.json loadtests/bench/baseline.json
    python -m loadtests.bench.gate build/gate.json loadtests/bench/baseline.json --keep

What is compared is the gateway's CPU as a multiple of nginx' in the same run: CPU times move from
machine to machine, this ratio less so. A median that is more than `MORE_MAX` above the recorded one
fails, and so does one that is recorded and was not measured; one that is as much below is worth
keeping, with `--keep`, so that it is not lost again unnoticed.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from loadtests.bench.figures import Run, load

MORE_MAX: Final = 0.15
"""Five measurements in turns with nginx stay within a tenth of each other on a quiet machine."""
SCENARIOS: Final = ("events",)
"""A whole request varies by a third from run to run: no gate could be as narrow as this one."""


class Baseline(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was measured once, and is to be kept."""

    began: str
    interpreter: str
    """How the machine of that run called its Python, which decides more than anything else."""
    ratios: dict[str, float]
    """CPU as a multiple of nginx', by scenario, upstream and work."""


class Change(msgspec.Struct, frozen=True):
    """One ratio, then and now; None where it was not measured."""

    name: str
    before: float | None
    now: float | None

    @property
    def fails(self) -> bool:
        """Tell whether it is more than is allowed, or gone."""
        if self.before is None:
            return False
        return self.now is None or self.now > self.before * (1 + MORE_MAX)

    @property
    def line(self) -> str:
        """The change in words."""
        if self.before is None:
            return f"{self.name:<32} {self.now:.2f}x nginx, not recorded yet"
        if self.now is None:
            return f"{self.name:<32} NOT MEASURED, {self.before:.2f}x nginx recorded"
        verdict = f"MORE THAN {MORE_MAX:+.0%}" if self.fails else "ok"
        by = self.now / self.before - 1
        return f"{self.name:<32} {self.before:.2f}x -> {self.now:.2f}x nginx ({by:+.0%}) {verdict}"


def ratios(run: Run) -> dict[str, float]:
    """Return what the gateway's CPU is of nginx' for all work that both did."""
    found: dict[str, float] = {}
    for figure in run.figures:
        key = figure.key
        if key.program != "gateway" or key.metric != "cpu_us" or key.scenario not in SCENARIOS:
            continue
        nginx = run.reference(key)
        if nginx is not None and nginx.median:
            name = f"{key.scenario}, {key.upstream}, {key.work}"
            found[name] = figure.median / nginx.median
    return found


def baseline_of(run: Run) -> Baseline:
    """Return what later runs will be compared with."""
    rounded = {name: round(ratio, 2) for name, ratio in ratios(run).items()}
    return Baseline(run.began, run.machine["Python"], rounded)


def changes(before: Mapping[str, float], now: Mapping[str, float]) -> list[Change]:
    """Return every ratio of either side, those that are recorded first."""
    names = [*before, *(name for name in now if name not in before)]
    return [Change(name, before.get(name), now.get(name)) for name in names]


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare a run with the recorded one; 1 if something costs more, or the run is not valid."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.bench.gate", description=__doc__)
    parser.add_argument("run", type=Path, help="what `python -m loadtests.bench --json` wrote")
    parser.add_argument("baseline", type=Path)
    parser.add_argument("--keep", action="store_true", help="record this run from now on")
    given = parser.parse_args(arguments)
    run = load(given.run)
    for fault in run.faults:
        print(f"not valid: {fault}")
    if given.keep:
        if run.faults:
            return 1
        kept = msgspec.json.format(msgspec.json.encode(baseline_of(run)))
        given.baseline.write_bytes(kept + b"\n")
        print(f"Recorded in {given.baseline}.")
        return 0
    recorded = msgspec.json.decode(given.baseline.read_bytes(), type=Baseline)
    found = changes(recorded.ratios, ratios(run))
    print("\n".join(change.line for change in found))
    return 1 if run.faults or any(change.fails for change in found) else 0


if __name__ == "__main__":
    sys.exit(main())
