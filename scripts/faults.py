"""`make faults`: runs every test of the fault matrix, and writes docs/faults.md with the results.

The matrix is tests/faults/matrix.toml. The page has a line for each fault: what the caller sees,
what the operator sees, which tests show it, and what came of them in the last run.
"""

import argparse
import subprocess
import sys
import tempfile
import tomllib
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

ROOT: Final = Path(__file__).resolve().parents[1]
MATRIX: Final = ROOT / "tests" / "faults" / "matrix.toml"
PAGE: Final = ROOT / "docs" / "faults.md"
HELD: Final = "held"
SKIPPED: Final = "skipped"
FAILED: Final = "FAILED"
UNKNOWN: Final = "not run"
INTRODUCTION: Final = """\
# Faults, and what becomes of them

Everything that goes wrong around a gateway, one line each: what its caller sees of it, what its
operator sees, and the tests that show it, with the real gateway between a simulated upstream and
real sockets wherever that matters. `make faults` runs these tests and writes this page from
`tests/faults/matrix.toml`; *Result* is what came of them then. Names of metrics have the prefix
`codex2api_`. After each storm one checker holds the gateway's books, the simulator's ledger, the
callers' log, metrics and processes against twenty invariants (`loadtests/audit/`).
"""


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One fault."""

    id: str
    fault: str
    caller: str
    operator: str
    tests: list[str]


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Faults of one origin."""

    name: str
    row: list[Row]


def matrix(file: Path = MATRIX) -> list[Part]:
    """Read the matrix. Raises msgspec.ValidationError if a row lacks something."""
    return msgspec.convert(tomllib.loads(file.read_text("utf-8"))["part"], list[Part])


def render(parts: Sequence[Part], results: Mapping[str, str]) -> str:
    """Return the page; `results` are by the rows' ids."""
    said = [INTRODUCTION]
    for part in parts:
        said.append(f"\n## {part.name}\n")
        said.append("| Id | Fault | The caller sees | The operator sees | Tests | Result |")
        said.append("|---|---|---|---|---|---|")
        for row in part.row:
            tests = "<br>".join(f"`{_short(test)}`" for test in row.tests)
            cells = (row.id, row.fault, row.caller, row.operator, tests)
            said.append(f"| {' | '.join(cells)} | {results.get(row.id, UNKNOWN)} |")
    return "\n".join(said) + "\n"


def results_of(page: str) -> dict[str, str]:
    """Return the results that a page shows, by the rows' ids."""
    rows = (line.split(" | ") for line in page.splitlines() if line.startswith("| "))
    return {cells[0].removeprefix("| "): cells[-1].removesuffix(" |") for cells in rows}


def judged(parts: Sequence[Part], report: Path) -> dict[str, str]:
    """Return what came of each row, from pytest's JUnit report."""
    outcomes = _outcomes(report)
    return {row.id: _worst(row, outcomes) for part in parts for row in part.row}


def _worst(row: Row, outcomes: Mapping[str, set[str]]) -> str:
    found = [outcomes.get(test, {UNKNOWN}) for test in row.tests]
    every = set().union(*found)
    for word in (FAILED, UNKNOWN):
        if word in every:
            return word
    return HELD if HELD in every else SKIPPED


def _outcomes(report: Path) -> dict[str, set[str]]:
    """Return what came of each test, by file and name, and by file alone; parameters are merged."""
    outcomes: defaultdict[str, set[str]] = defaultdict(set)
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 (pytest wrote it just now)
        file = case.get("classname", "").replace(".", "/") + ".py"
        name = case.get("name", "").partition("[")[0]
        if case.find("failure") is not None or case.find("error") is not None:
            word = FAILED
        else:
            word = SKIPPED if case.find("skipped") is not None else HELD
        outcomes[file].add(word)
        outcomes[f"{file}::{name}"].add(word)
    return outcomes


def chosen(row: Row, only: str) -> bool:
    """Tell whether a row is one of those that were asked for; none of them are all of them."""
    words = [word for word in only.split(",") if word]
    return not words or any(
        row.id == word if word[-1].isdigit() else row.id.startswith(word) for word in words
    )


def _short(test: str) -> str:
    file, _, name = test.removeprefix("tests/").partition("::")
    return f"{file.removesuffix('.py')}: {name.removeprefix('test_')}" if name else file


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tests and write the page; pytest's exit status."""
    parser = argparse.ArgumentParser(prog="python -m scripts.faults", description=__doc__)
    parser.add_argument(
        "--only",
        default="",
        help="ids of rows, or how they begin: U8,C; the others stay on the page",
    )
    parser.add_argument("-n", default="2", help="how many tests at a time; 2 if not given")
    asked = parser.parse_args(arguments)
    parts = matrix()
    rows = [row for part in parts for row in part.row if chosen(row, asked.only)]
    tests = sorted({test for row in rows for test in row.tests})
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-n", asked.n]
        command += ["--dist", "loadfile", f"--junitxml={report}", *tests]
        status = subprocess.run(command, cwd=ROOT, check=False).returncode
        found = judged(parts, report)
    results = results_of(PAGE.read_text("utf-8")) if PAGE.exists() else {}
    for row in rows:
        results[row.id] = found[row.id]
        print(f"{row.id:>4}  {results[row.id]:<8} {row.fault}")
    PAGE.write_text(render(parts, results), "utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main())
