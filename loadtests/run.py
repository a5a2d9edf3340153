"""`make load S=steady`: locust, headless, against a gateway and a simulator started for it.

A scenario is which users there are, how many, and how they come. The exit status is locust's, which
is 1 where a stream was not whole, a request failed, or a tail was over its limit; after it the
gateway must be idle again. With `--workers 2` the load comes from so many processes and a master.
With `--profile` a flame graph of the gateway's worker is drawn meanwhile, with `--memory` one of
what its memory was made of when it had most; that one needs memray, as `make memory` has it.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import msgspec

from loadtests.bench import gateway, upstream
from loadtests.bench.gateway import COMMAND, KEY, Gateway
from loadtests.bench.processes import (
    ROOT,
    ProgramFailed,
    allow_many_files,
    cores,
    end_in_order,
    free_port,
    pinned,
)
from loadtests.bench.upstream import Pace

PACE: Final = Pace(deltas=40, events_per_s=50.0, timestamps=False)
IDLE_S: Final = 30.0
RECORD: Final = "memory.bin"
USUAL: Final = ("ChatCaller", "ResponsesCaller")
MIXED: Final = ("ChatCaller", "ResponsesCaller", "MessagesCaller", "SocketCaller", "Aborter")
SOCKETS: Final = ("SocketCaller",)


class Scenario(msgspec.Struct, frozen=True):
    """Which users there are, how many of them, for how long, and how they come and go."""

    users: tuple[str, ...] = USUAL
    callers: int = 40
    seconds: int = 30
    shape: str = "steady"


SCENARIOS: Final = {
    "steady": Scenario(seconds=20),
    "chat": Scenario(("ChatCaller",)),
    "responses": Scenario(("ResponsesCaller",)),
    "messages": Scenario(("MessagesCaller",)),
    "websocket": Scenario(SOCKETS),
    "mixed": Scenario((*MIXED, "Admin")),
    "slow": Scenario(("SlowReader", "ResponsesCaller")),
    "aborts": Scenario(("Aborter", "ResponsesCaller")),
    "admins": Scenario(("Admin", "ResponsesCaller"), callers=20),
    "crowd": Scenario(callers=300),
    "step": Scenario(callers=100, shape="step"),
    "spike": Scenario(callers=120, shape="spike"),
    "reconnect": Scenario(("SocketCaller", "SocketReconnecter"), shape="reconnect"),
    "soak": Scenario(MIXED, callers=100, seconds=1800, shape="soak"),
}


def main() -> int:
    """Run one scenario; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.run", description=__doc__)
    parser.add_argument("scenario", choices=sorted(SCENARIOS))
    parser.add_argument("--callers", type=int)
    parser.add_argument("--seconds", type=int)
    parser.add_argument("--workers", type=int, default=0, help="processes that make the load")
    parser.add_argument("--html", type=Path, help="write locust's report here")
    parser.add_argument("--csv", type=Path, help="write locust's figures here, by this prefix")
    parser.add_argument("--profile", type=Path, help="write a flame graph of the worker here")
    parser.add_argument("--memory", type=Path, help="write what memory is made of here, as HTML")
    given = parser.parse_args()
    scenario = SCENARIOS[given.scenario]
    changes = {name: getattr(given, name) for name in ("callers", "seconds")}
    changes = {name: value for name, value in changes.items() if value is not None}
    scenario = msgspec.structs.replace(scenario, **changes)
    options = []
    for name in ("html", "csv"):
        if (file := getattr(given, name)) is not None:
            options += [f"--{name}", str(file.absolute())]
    allow_many_files()
    end_in_order()
    try:
        return _run(scenario, options, given.workers, given.profile, given.memory)
    except ProgramFailed as failed:
        sys.exit(str(failed))


def _run(
    scenario: Scenario,
    options: list[str],
    workers: int,
    profile: Path | None,
    memory: Path | None,
) -> int:
    where = cores()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="codex2api-load-")))
        simulator = stack.enter_context(upstream.running("plain", folder, core=where.load))
        simulator.answer(PACE)
        environment = gateway.prepare(simulator, folder)
        command = COMMAND
        if memory is not None:
            command = _recorded(folder)
            # Once the gateway has ended, and while the folder is still there.
            stack.callback(_show, folder, memory.absolute())
        started = gateway.running(environment, folder, core=where.program, command=command)
        running = stack.enter_context(started)
        told = {
            **os.environ,
            "LOAD_KEY": KEY,
            "LOAD_ADMIN": environment["ADMIN_SECRET"],
            "LOAD_SHAPE": scenario.shape,
            "LOAD_USERS": str(scenario.callers),
            "LOAD_SECONDS": str(scenario.seconds),
        }
        calling = _locust(scenario, running.port) + options
        port = str(free_port())
        if workers:
            calling += ["--master", "--master-bind-port", port, "--expect-workers", str(workers)]
        with pinned(where.load):
            for _ in range(workers):
                working = [*_command(), "--worker", "--master-port", port]
                helper = subprocess.Popen(working, cwd=ROOT, env=told)
                stack.callback(helper.wait)
                stack.callback(helper.terminate)
            locust = stack.enter_context(subprocess.Popen(calling, cwd=ROOT, env=told))
        if profile is not None:
            _draw(running.program.tree()[-1], scenario.seconds, profile.absolute())
        status = locust.wait()
        running.program.check()
        return _idle(running) or status


def _command() -> list[str]:
    return [sys.executable, "-m", "locust", "-f", "loadtests/locustfile.py", "--headless"]


def _locust(scenario: Scenario, port: int) -> list[str]:
    command = [*_command(), "--host", f"http://127.0.0.1:{port}", "--only-summary"]
    return [*command, "--exit-code-on-error", "1", "--stop-timeout", "10", *scenario.users]


def _idle(running: Gateway) -> int:
    """Return 1, and say so, if the gateway is not idle soon after everybody has gone."""
    ends_at = time.monotonic() + IDLE_S
    while (leases := running.metrics().get("codex2api_leases", 0.0)) > 0:
        if time.monotonic() > ends_at:
            print(f"MISSED: {leases:.0f} leases are still out after {IDLE_S:.0f} s")
            return 1
        time.sleep(0.2)
    return 0


def _draw(pid: int, seconds: int, profile: Path) -> None:
    """Record the worker until the load ends. py-spy says itself what it lacks, if anything."""
    command = [str(Path(sys.executable).with_name("py-spy")), "record", "--pid", str(pid)]
    command += ["--duration", str(seconds), "--output", str(profile)]
    subprocess.run(command, check=False)


def _recorded(folder: Path) -> list[str]:
    """Return what runs the gateway and writes down each allocation, of each process by itself."""
    python, *module = COMMAND
    file = str(folder / RECORD)
    return [python, "-m", "memray", "run", "--quiet", "--follow-fork", "--output", file, *module]


def _show(folder: Path, page: Path) -> None:
    """Draw the record of the worker, which is the longest one."""
    page.parent.mkdir(parents=True, exist_ok=True)
    record = max(folder.glob(f"{RECORD}*"), key=lambda file: file.stat().st_size)
    command = [sys.executable, "-m", "memray", "flamegraph", "--force", "--output", str(page)]
    subprocess.run([*command, str(record)], check=False, stdout=subprocess.DEVNULL)
    print(f"Written: {page}")


if __name__ == "__main__":
    sys.exit(main())
