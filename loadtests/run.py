"""`make load S=steady`: locust, headless, against a gateway and a simulator started for it.

A scenario is a number of callers and how fast they come. The exit status is locust's, which is 1
where a stream was not whole, a request failed, or a tail was over its limit. With `--profile` a
flame graph of the worker is drawn meanwhile.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import msgspec

from loadtests.bench import gateway, upstream
from loadtests.bench.gateway import KEY
from loadtests.bench.processes import (
    ROOT,
    ProgramFailed,
    allow_many_files,
    cores,
    end_in_order,
    pinned,
)
from loadtests.bench.upstream import Pace

PACE: Final = Pace(deltas=40, events_per_s=50.0, timestamps=False)


class Scenario(msgspec.Struct, frozen=True):
    """How many callers there are, and how many of them come each second."""

    callers: int
    per_s: float
    seconds: int


SCENARIOS: Final = {
    "steady": Scenario(callers=40, per_s=20, seconds=20),
    "crowd": Scenario(callers=300, per_s=100, seconds=30),
    "soak": Scenario(callers=100, per_s=20, seconds=1800),
}


def main() -> int:
    """Run one scenario; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.run", description=__doc__)
    parser.add_argument("scenario", choices=sorted(SCENARIOS))
    parser.add_argument("--callers", type=int)
    parser.add_argument("--seconds", type=int)
    parser.add_argument("--html", type=Path, help="write locust's report here")
    parser.add_argument("--profile", type=Path, help="write a flame graph of the worker here")
    given = parser.parse_args()
    scenario = SCENARIOS[given.scenario]
    changes = {name: getattr(given, name) for name in ("callers", "seconds")}
    changes = {name: value for name, value in changes.items() if value is not None}
    scenario = msgspec.structs.replace(scenario, **changes)
    allow_many_files()
    end_in_order()
    try:
        return _run(scenario, given.html, given.profile)
    except ProgramFailed as failed:
        sys.exit(str(failed))


def _run(scenario: Scenario, html: Path | None, profile: Path | None) -> int:
    where = cores()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="codex2api-load-")))
        simulator = stack.enter_context(upstream.running("plain", folder, core=where.load))
        simulator.answer(PACE)
        environment = gateway.prepare(simulator, folder)
        started = gateway.running(environment, folder, core=where.program)
        running = stack.enter_context(started)
        command = _locust(scenario, running.port, html)
        with (
            pinned(where.load),
            subprocess.Popen(command, cwd=ROOT, env={**os.environ, "LOAD_KEY": KEY}) as locust,
        ):
            if profile is not None:
                _draw(running.program.tree()[-1], scenario.seconds, profile.absolute())
            status = locust.wait()
        running.program.check()
        return status


def _locust(scenario: Scenario, port: int, html: Path | None) -> list[str]:
    command = [sys.executable, "-m", "locust", "-f", "loadtests/locustfile.py", "--headless"]
    command += ["--host", f"http://127.0.0.1:{port}", "--only-summary"]
    command += ["-u", str(scenario.callers), "-r", str(scenario.per_s)]
    command += ["-t", str(scenario.seconds), "--exit-code-on-error", "1", "--stop-timeout", "10"]
    return [*command, "--html", str(html)] if html else command


def _draw(pid: int, seconds: int, profile: Path) -> None:
    """Record the worker until the load ends. py-spy says itself what it lacks, if anything."""
    command = [str(Path(sys.executable).with_name("py-spy")), "record", "--pid", str(pid)]
    command += ["--duration", str(seconds), "--output", str(profile)]
    subprocess.run(command, check=False)


if __name__ == "__main__":
    sys.exit(main())
