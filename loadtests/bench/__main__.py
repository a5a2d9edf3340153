"""`python -m loadtests.bench`: measure the gateway beside nginx, and print tables and verdicts.

Without arguments everything is measured but the soak of aborts; it takes about half an hour
and wants a machine that does nothing else. The exit status is 0 unless `--check` is given.
"""

import argparse
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import msgspec
import uvloop

from loadtests.bench import (
    aborts,
    crowd,
    events,
    held,
    latency,
    machine,
    nginx,
    pool,
    report,
    requests,
    start,
    websocket,
)
from loadtests.bench.figures import Book, ProgramName, Run, UpstreamKind
from loadtests.bench.processes import ProgramFailed, allow_many_files, cores, end_in_order
from loadtests.bench.rig import QUICK, Plan, Rig, rigged
from loadtests.bench.targets import judged

SCENARIOS: Final[dict[str, Callable[[Rig], Awaitable[None]]]] = {
    module.NAME: module.run
    for module in (requests, events, latency, held, crowd, websocket, start, aborts)
}
ALONE: Final[dict[str, Callable[[Book, Plan], None]]] = {pool.NAME: pool.run}
"""These start no programs and send nothing."""
USUAL: Final = [name for name in (*SCENARIOS, *ALONE) if name != aborts.NAME]


def main(arguments: list[str] | None = None) -> int:
    """Measure what the arguments name; return the exit status."""
    given = _parsed(sys.argv[1:] if arguments is None else arguments)
    began = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    where = cores()
    if where.shared:
        print("There is one core only: everything shares it, so delays mean little.")
    allow_many_files()
    end_in_order()
    book = Book()
    programs = _programs(given)
    os.sched_setaffinity(0, {where.load})
    with_programs = [name for name in given.scenarios if name in SCENARIOS]
    try:
        with tempfile.TemporaryDirectory(prefix="codex2api-bench-") as folder:
            for kind in given.upstreams if with_programs else ():
                with rigged(kind, programs, (where, given.plan, book), Path(folder, kind)) as rig:
                    uvloop.run(_measure(rig, with_programs))
    except ProgramFailed as failed:
        sys.exit(str(failed))
    for name in given.scenarios:
        if name in ALONE:
            print(f"{name} ...", flush=True)
            ALONE[name](book, given.plan)
    command = shlex.join(["python", "-m", "loadtests.bench", *given.words])
    run = Run(began, command, machine.description(where), book.figures(), book.faults)
    for text in report.tables(run).values():
        print(f"\n{text}")
    if given.json is not None:
        run.save(given.json)
    missed = [one for one in judged(run) if one.verdict == "MISSED"]
    return 1 if given.check and (missed or run.faults) else 0


class _Given(msgspec.Struct):
    words: list[str]
    scenarios: list[str]
    upstreams: list[UpstreamKind]
    wanted: list[ProgramName]
    plan: Plan
    json: Path | None
    check: bool


def _parsed(arguments: list[str]) -> _Given:
    known = [*SCENARIOS, *ALONE]
    parser = argparse.ArgumentParser(prog="python -m loadtests.bench", description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(known))
    parser.add_argument("--plain", action="store_true", help="only with a plain upstream")
    parser.add_argument("--tls", action="store_true", help="only with a TLS upstream")
    parser.add_argument("--program", choices=["gateway", "nginx"], help="only this one")
    parser.add_argument("--quick", action="store_true", help="short, once: does the bench work?")
    parser.add_argument("--repeat", type=int, help="measurements of each figure")
    parser.add_argument("--seconds", type=float, help="of one measurement")
    parser.add_argument("--json", type=Path, help="save the run here")
    parser.add_argument("--check", action="store_true", help="status 1 if a target is missed")
    given = parser.parse_args(arguments)
    unknown = set(given.scenarios).difference(known)
    if unknown:
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    plan = QUICK if given.quick else Plan()
    changes = {name: getattr(given, name) for name in ("repeat", "seconds")}
    changes = {name: value for name, value in changes.items() if value is not None}
    both = given.plain == given.tls
    return _Given(
        words=arguments,
        scenarios=given.scenarios or USUAL,
        upstreams=[kind for kind in ("plain", "tls") if both or getattr(given, kind)],
        wanted=[given.program] if given.program else ["nginx", "gateway"],
        plan=msgspec.structs.replace(plan, **changes),
        json=given.json,
        check=given.check,
    )


def _programs(given: _Given) -> set[ProgramName]:
    programs = set(given.wanted)
    if "nginx" in programs and nginx.command() is None:
        print("nginx is not installed: the gateway's figures stand alone, without ratios.")
        programs.discard("nginx")
    return programs


async def _measure(rig: Rig, scenarios: list[str]) -> None:
    for name in scenarios:
        print(f"{rig.kind} upstream: {name} ...", flush=True)
        await SCENARIOS[name](rig)


if __name__ == "__main__":
    sys.exit(main())
