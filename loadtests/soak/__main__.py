"""Half load for as long as you like, with one per cent of every fault; then all is audited.

    make soak HOURS=0.75
    python -m loadtests.soak --minutes 3 --callers 8

Callers of three dialects ask a gateway that was started for them; `plans` says what goes wrong.
Memory, descriptors, tasks and connections are sampled every ten seconds. When the last call is over
and everything is quiet, the run is held against all invariants, its figures are drawn, and what it
came to is written as JSON. The exit status is 1 if an invariant is broken.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any, Final

import httpx

from loadtests.audit import books
from loadtests.audit.evidence import Course, Evidence, Scrape
from loadtests.audit.invariants import Report, examine
from loadtests.audit.processes import IDLE, MIB, SLACK, slope_mib, warm
from loadtests.callers import Callers, Pace
from loadtests.soak import plans, plots
from loadtests.soak.sampling import Sampler
from tests.e2e.programs import API_KEY, Gateway, Simulator, enrol, until

ROOT: Final = Path(__file__).resolve().parents[2]
ACCOUNTS: Final = 24
CONCURRENCY_MAX: Final = 32
"""What an account gets unless its operator says otherwise."""
PACE: Final = Pace(deltas=(20, 120), events_per_s=(40, 200))
WARM_SHARE: Final = 0.25
"""Of the run: as long is the warm-up, but no longer than `WARM_MAX_S`."""
WARM_MAX_S: Final = 600.0
WRONG: Final = "sk-c2a-nobody-has-this-key"
QUIET_S: Final = 120.0
"""A request whose head never came is let go of a minute after it was given up."""
UNUSED_S: Final = 60.0
"""Connections to the upstream are kept for half a minute after their last use."""
LIMITS: Final[dict[str, float]] = {
    "sessions_max": 2_000,
    "owned_items_max": 2_000,
    "history_bytes_max": 4 << 20,
    "history_key_bytes_max": 1 << 20,
}
"""Tables that grow until they are full, which would take longer than the run, look like a leak:
these are full when the warm-up is over, and entries go as others come."""
SETTINGS: Final = {"first_event_timeout_s": "4", "idle_timeout_s": "4"}
"""So that silence is met often; an hour of the real waits would meet a dozen."""


class Soaked(Gateway):
    """A gateway that tells how many tasks it has."""

    def start(self) -> None:
        """Run it, and wait until it is ready."""
        self.spawn("-m", "loadtests.soak.launch", env=self.environment)
        until(self._ready, "the gateway is ready", within_s=30)


async def load(callers: Callers, sampler: Sampler, *, count: int, seconds: float) -> Any:
    """Ask for so long, then let every call end; return the last sample and how keys were judged."""
    judged: list[tuple[str, int]] = []
    ends_at = time.monotonic() + seconds
    async with httpx.AsyncClient(timeout=60.0) as client, asyncio.TaskGroup() as group:
        sampling = group.create_task(sampler.run())
        asking = [group.create_task(_ask_until(ends_at, callers)) for _ in range(count)]
        knocking = group.create_task(_knock(client, callers.url, judged))
        await asyncio.wait(asking)
        for task in (sampling, knocking):
            task.cancel()
    return judged


async def _ask_until(ends_at: float, callers: Callers) -> None:
    limits = httpx.Limits(max_keepalive_connections=1)
    async with httpx.AsyncClient(timeout=60.0, limits=limits) as client:
        while time.monotonic() < ends_at:
            await callers.ask(client)


async def _knock(client: httpx.AsyncClient, url: str, judged: list[tuple[str, int]]) -> None:
    """Try a good key and a wrong one, over and over."""
    while True:
        for kind, key in (("known", API_KEY), ("wrong", WRONG)):
            headers = {"authorization": f"Bearer {key}"}
            answer = await client.get(f"{url}/v1/models", headers=headers)
            judged.append((kind, answer.status_code))
        await asyncio.sleep(2.0)


def run(
    folder: Path, *, seconds: float, callers: int, seed: int
) -> tuple[Evidence, Course, Callers]:
    """Do it all in a folder; return what was gathered."""
    file = folder / "ledger.jsonl"
    simulator = Simulator(folder, accounts=ACCOUNTS, ledger=file)
    tasks = folder / "tasks"
    tasks.mkdir()
    gateway = Soaked(folder, simulator, limits=LIMITS, SOAK_TASKS=str(tasks), LOG_LEVEL="info")
    try:
        enrol(gateway, simulator)
        gateway.command("settings", "set", *(f"{name}={each}" for name, each in SETTINGS.items()))
        gateway.start()
        asking = Callers(
            gateway.url, key=API_KEY, name=f"soak-{seed}", rng=Random(seed), pace=PACE,
            draw=plans.draw,
        )  # fmt: skip
        sampler = Sampler(gateway.url, API_KEY, gateway.pid, tasks)
        before = asyncio.run(_once(asking, sampler))
        judged = asyncio.run(load(asking, sampler, count=callers, seconds=seconds))
        _wait(lambda: idle(gateway.metrics()), within_s=30.0)
        _wait(lambda: not simulator.see("state")["in_flight"], within_s=QUIET_S)
        _wait(lambda: gateway.metrics()["codex2api_journal_depth"] == 0, within_s=30.0)
        time.sleep(5.0)
        after = asyncio.run(_settled(sampler, before.files))
        scrapes = [*sampler.scrapes, gateway.metrics()]
        gateway.stop()
        warm_s = min(WARM_MAX_S, WARM_SHARE * seconds)
        course = Course(before, sampler.samples, after, warm_s)
        evidence = Evidence(
            seen=asking.seen,
            ledger=[json.loads(line) for line in file.read_text().splitlines()],
            books=books.of_sqlite(folder / "data" / "codex2api.db"),
            violations=simulator.see("violations"),
            state=simulator.see("state"),
            concurrency_max=CONCURRENCY_MAX,
            scrapes=scrapes,
            course=course,
            outputs={
                "the log": gateway.log.read_bytes(),
                "the metrics": json.dumps(scrapes[-1]).encode(),
            },
            secrets=[API_KEY, WRONG, *_tokens(simulator)],
            keys=judged,
        )
    finally:
        gateway.stop()
        simulator.stop()
    return evidence, course, asking


def idle(metrics: Scrape) -> bool:
    """Tell whether nothing is under way."""
    return not any(metrics.get(gauge) for gauge in IDLE)


def _wait(done: Callable[[], bool], *, within_s: float) -> None:
    """Wait for something, but not for ever: the checker says it if it is not so."""
    ends_at = time.monotonic() + within_s
    while not done() and time.monotonic() < ends_at:
        time.sleep(0.1)


async def _once(callers: Callers, sampler: Sampler) -> Any:
    """Make some calls, so that what is made at the first one is there; then look."""
    async with httpx.AsyncClient(timeout=60.0) as client:
        for _ in range(5):
            await callers.ask(client)
        await asyncio.sleep(3.0)
        return await sampler.look(client)


async def _settled(sampler: Sampler, files: int) -> Any:
    """Look until connections that nobody uses any more are closed, but not for ever."""
    ends_at = time.monotonic() + UNUSED_S
    async with httpx.AsyncClient(timeout=60.0) as client:
        while True:
            found = await sampler.look(client)
            if found.files <= files + SLACK["files"] or time.monotonic() > ends_at:
                return found
            await asyncio.sleep(2.0)


def _tokens(simulator: Simulator) -> list[str]:
    names = ("refresh_token", "access_token")
    return [account[name] for account in simulator.see("accounts") for name in names]


def summary(evidence: Evidence, course: Course, report: Report) -> dict[str, Any]:
    """Return what a run came to, in figures."""
    during = course.during
    seconds = during[-1].at_s - during[0].at_s
    steady = warm(during, course.warm_s)
    slope = slope_mib(steady)
    return {
        "minutes": round(seconds / 60, 1),
        "calls": len(evidence.seen),
        "whole": report.whole,
        "broken": report.broken,
        "left": sum(each.left for each in evidence.seen),
        "codes": dict(Counter(each.code for each in evidence.seen if each.code).most_common()),
        "attempts": len(evidence.ledger),
        "cpu_share": round((during[-1].cpu_s - during[0].cpu_s) / seconds, 3),
        "rss_mib_before": round(course.before.rss_bytes / MIB, 1),
        "rss_mib_max": round(max(each.rss_bytes for each in during) / MIB, 1),
        "rss_mib_after": round(course.after.rss_bytes / MIB, 1),
        "rss_slope_mib_in_10_min": None if slope is None else round(slope, 2),
        "files": [course.before.files, max(each.files for each in during), course.after.files],
        "tasks": [course.before.tasks, max(each.tasks for each in during), course.after.tasks],
        "lag_s_max": round(max(each.lag_s for each in during), 3),
        "faults": len(report.faults),
    }


def draw(course: Course, folder: Path) -> None:
    """Write the plots."""
    folder.mkdir(parents=True, exist_ok=True)
    during = course.during
    cpu = plots.rates([(each.at_s, 100 * each.cpu_s) for each in during])
    for name, title, unit, points in (
        ("rss", "Resident memory", "MiB", [(s.at_s, s.rss_bytes / MIB) for s in during]),
        ("files", "Open descriptors", "all processes", [(s.at_s, s.files) for s in during]),
        ("tasks", "Tasks", "of the loop", [(s.at_s, s.tasks) for s in during]),
        ("calls", "Calls under way", "at a time", [(s.at_s, s.in_flight) for s in during]),
        ("cpu", "CPU", "% of a core", cpu),
    ):
        (folder / f"soak-{name}.svg").write_text(plots.svg(title, unit, points))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 1 if an invariant is broken."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=45.0, help="45 if not given")
    parser.add_argument("--callers", type=int, default=24, help="at a time; 24 if not given")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write what it came to here")
    parser.add_argument("--plots", type=Path, help="write the plots into this folder")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="codex2api-soak-") as folder:
        evidence, course, callers = run(
            Path(folder), seconds=60 * asked.minutes, callers=asked.callers, seed=asked.seed
        )
    report = examine(evidence)
    figures = summary(evidence, course, report)
    figures["refused"] = callers.refused
    if asked.json:
        asked.json.parent.mkdir(parents=True, exist_ok=True)
        asked.json.write_text(json.dumps(figures, indent=2) + "\n")
    if asked.plots:
        draw(course, asked.plots)
    print(json.dumps(figures))
    print("\n".join(report.lines()))
    for fault in report.shown:
        print(f"  {fault}")
    print(f"{len(report.faults)} faults." if report.faults else "All invariants hold.")
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
