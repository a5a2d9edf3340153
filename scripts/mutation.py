"""`make mutation`: how many small defects the tests notice, module by module.

Every mutant of a module runs in a process of its own against the module's own test files. The
process is forked from this one, which has imported everything but the program itself, so that a
mutant costs little more than its tests. It is killed if a test fails, if it can't be imported, or
if it takes far longer than the module does. The score is the share of killed ones; survivors are
listed with line and change, and all goes to `build/mutation.json`. Ends with status 1 if a module
misses the target.
"""

import argparse
import ast
import importlib
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from random import Random
from types import CodeType
from typing import Final, NamedTuple, NoReturn

import hypothesis
import orjson
import pytest

from scripts.mutants import Mutant, mutants

ROOT: Final = Path(__file__).resolve().parent.parent
REPORT: Final = ROOT / "build" / "mutation.json"
POOL: Final = (
    "selection", "orders", "shelf", "shelves", "pool", "lessons", "alarms",
    "health", "concurrency", "latency", "backoff", "quota", "pausing",
)  # fmt: skip
MODULES: Final = (
    *(f"app/pool/{name}.py" for name in POOL),
    *(f"app/relay/{name}.py" for name in ("diagnosis", "verdict", "budget", "line")),
    *(f"app/accounts/{name}.py" for name in ("credentials", "renewal", "deadlines", "roster")),
)
"""Selection, health, quota, diagnosis, line and refresh: what decides over accounts and calls."""
TARGET: Final = 80.0
SAMPLE: Final = 60
EXAMPLES_MAX: Final = 30
"""Examples of a property test for each mutant; a survivor of these is no proof."""
MEMORY_MAX: Final = 4 << 30
"""Bytes of address space: a mutant may loop and collect."""
POLL_S: Final = 0.01
LIMIT_S: Final = 5.0
LIMIT_FACTOR: Final = 4.0
"""A mutant is given so many times what the module's tests take, and `LIMIT_S` on top."""
PYTEST: Final = (
    "-q", "-x", "--no-header", "--no-summary", "--tb=no", "-p", "no:cacheprovider",
    "-p", "no:randomly", "-p", "no:xdist", "-p", "no:cov", "-o", "addopts=--import-mode=importlib",
    "-W", "ignore::pytest.PytestAssertRewriteWarning",
)  # fmt: skip


class Unscored(Exception):
    """A module has no score; the text says why."""


class Module(NamedTuple):
    """A module, its syntax tree and the tests that are to notice its defects."""

    root: Path
    """The folder that holds `app` and `tests`."""
    path: str
    tree: ast.Module
    tests: tuple[str, ...]

    @property
    def name(self) -> str:
        """What an import says."""
        return self.path.removesuffix(".py").replace("/", ".")


class Result(NamedTuple):
    """What became of one mutant: `killed`, `slow` (killed by the time limit) or `survived`."""

    mutant: Mutant
    fate: str


class Score(NamedTuple):
    """The results of one module; `total` is how many mutants it has, sampled or not."""

    module: Module
    total: int
    results: list[Result]

    @property
    def survivors(self) -> list[Mutant]:
        """The mutants that no test noticed."""
        return [result.mutant for result in self.results if result.fate == "survived"]

    @property
    def percent(self) -> float:
        """The share of the mutants that were killed."""
        if not self.results:
            return 100.0
        return 100.0 * (1 - len(self.survivors) / len(self.results))


class PlantedLoader(SourceFileLoader):
    """Loads a module from a changed syntax tree."""

    def __init__(self, module: Module) -> None:
        super().__init__(module.name, str(module.root / module.path))
        self._code = compile(module.tree, module.path, "exec")

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002  (the loader has one module)
        """Return the code of the tree, whatever stands in the file."""
        return self._code

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        """Return where to find the module; other modules are others' matter."""
        if name != self.name:
            return None
        return spec_from_file_location(name, self.path, loader=self)


def main() -> None:
    """Score the modules that were asked for; exit with status 1 if one misses the target."""
    given = arguments()
    scores, failures = [], []
    for path in given.modules:
        try:
            score = examine(load(given.root, path), given)
        except Unscored as error:
            print(error, file=sys.stderr, flush=True)
            failures.append(path)
            continue
        scores.append(score)
        show(score)
    write(scores, given.json)
    missed = [score for score in scores if score.percent < given.target]
    killed = sum(len(score.results) - len(score.survivors) for score in scores)
    tried = sum(len(score.results) for score in scores)
    print(f"\n{killed} of {tried} mutants killed: {100 * killed / max(1, tried):.1f} %")
    for score in missed:
        print(f"{score.module.path} misses {given.target:g} %: {score.percent:.1f} %")
    sys.exit(1 if missed or failures else 0)


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(prog="make mutation", description=__doc__)
    parser.add_argument("modules", nargs="*", default=MODULES, help="app/pool/health.py ...")
    parser.add_argument(
        "--sample", type=int, default=SAMPLE, help="mutants of a module; 0 is all (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the sample (%(default)s)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="(%(default)s)")
    parser.add_argument("--target", type=float, default=TARGET, help="in percent (%(default)s)")
    parser.add_argument("--json", type=Path, default=REPORT, help="the report (%(default)s)")
    parser.add_argument("--root", type=Path, default=ROOT, help="the tree (%(default)s)")
    return parser.parse_args(words)


def load(root: Path, path: str) -> Module:
    """Return the module and its test files: the mirrored one and those that continue its name.

    Raises:
        Unscored: there is no module, or no test file.
    """
    file = root / path
    if not file.is_file():
        raise Unscored(f"{path}: there is no such module.")
    folder = root / "tests" / file.relative_to(root / "app").parent
    found = [folder / f"test_{file.name}", *sorted(folder.glob(f"test_{file.stem}_*.py"))]
    tests = tuple(str(test.relative_to(root)) for test in found if test.exists())
    if not tests:
        raise Unscored(f"{path}: it has no test file.")
    return Module(root, path, ast.parse(file.read_text("utf-8")), tests)


def chosen(found: list[Mutant], *, sample: int, seed: int) -> list[Mutant]:
    """Return the mutants to try, in the order of their lines."""
    if not sample or sample >= len(found):
        return found
    places = Random(seed).sample(range(len(found)), sample)  # noqa: S311  (a sample, no secret)
    return [found[place] for place in sorted(places)]


def examine(module: Module, given: argparse.Namespace) -> Score:
    """Return the module's score.

    Raises:
        Unscored: its tests fail on it as it is.
    """
    found = mutants(module.tree)
    with tempfile.TemporaryDirectory() as folder:
        seen = Path(folder) / "imported"
        control(module, seen)
        preload(orjson.loads(seen.read_bytes()))
    limit_s = LIMIT_S + LIMIT_FACTOR * control(module)
    picked = chosen(found, sample=given.sample, seed=given.seed)
    results = sorted(run(module, picked, limit_s, given.jobs), key=lambda each: each.mutant.line)
    return Score(module, len(found), results)


def control(module: Module, seen: Path | None = None) -> float:
    """Run the tests on the module as it is and return how long they took, in seconds.

    Raises:
        Unscored: they fail.
    """
    began = time.monotonic()
    _, status = os.waitpid(fork(module, None, seen), 0)
    if status:
        code = os.waitstatus_to_exitcode(status)
        tests = " ".join(module.tests)
        raise Unscored(f"{tests}: they fail before anything is changed (status {code}).")
    return time.monotonic() - began


def preload(names: list[str]) -> None:
    """Import what the tests needed, so that no mutant has to; the program itself is left out."""
    for name in names:
        with suppress(Exception):
            importlib.import_module(name)


def run(module: Module, picked: list[Mutant], limit_s: float, jobs: int) -> Iterator[Result]:
    """Yield every mutant's fate, several at a time."""
    waiting = picked[::-1]
    running: dict[int, tuple[Mutant, float]] = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            mutant = waiting.pop()
            running[fork(module, mutant)] = (mutant, time.monotonic() + limit_s)
        time.sleep(POLL_S)
        for pid, (mutant, ends_at) in list(running.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            late = not ended and time.monotonic() > ends_at
            if not ended and not late:
                continue
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
            if late:
                os.waitpid(pid, 0)
            del running[pid]
            fate = "slow" if late else "killed" if status else "survived"
            yield Result(mutant, fate)


def fork(module: Module, mutant: Mutant | None, seen: Path | None = None) -> int:
    """Start the tests on a mutant, or on the module as it is, and return the process's id.

    The tests' own way of ending counts for nothing but its status: 0 is all passed.
    """
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        try:
            test(module, mutant, seen)
        finally:
            os._exit(99)
    return pid


def test(module: Module, mutant: Mutant | None, seen: Path | None) -> NoReturn:
    """Run the tests in this process and end it."""
    os.setsid()
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))
    sys.dont_write_bytecode = True
    os.chdir(module.root)
    sys.path.insert(0, str(module.root))
    if mutant is not None:
        mutant.plant()
    sys.meta_path.insert(0, PlantedLoader(module))
    hypothesis.settings.register_profile(
        "mutation",
        max_examples=EXAMPLES_MAX,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
        suppress_health_check=tuple(hypothesis.HealthCheck),
    )
    hypothesis.settings.load_profile("mutation")
    status = int(pytest.main([*PYTEST, *module.tests]))
    if seen is not None:
        own = ("app", "tests", "scripts", "conftest", "loadtests", "__main")
        names = [name for name in sys.modules if not name.startswith(own)]
        seen.write_bytes(orjson.dumps(names))
    os._exit(status)


def show(score: Score) -> None:
    """Print the module's score and its survivors."""
    tried = len(score.results)
    part = "all" if tried == score.total else f"{tried} of {score.total}"
    print(f"{score.module.path}: {score.percent:.1f} % ({part} mutants)", flush=True)
    for mutant in score.survivors:
        print(f"  {score.module.path}:{mutant.line}: {mutant.change}", flush=True)


def write(scores: list[Score], path: Path) -> None:
    """Write the report for other programs."""
    report = {
        score.module.path: {
            "percent": round(score.percent, 2),
            "mutants": score.total,
            "tried": len(score.results),
            "slow": sum(result.fate == "slow" for result in score.results),
            "survivors": [
                {"line": mutant.line, "change": mutant.change} for mutant in score.survivors
            ],
        }
        for score in scores
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    main()
