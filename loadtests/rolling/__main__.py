"""Restarts or kills two replicas behind a proxy under load, and says what callers noticed of it.

    make rolling                                        20 restarts behind nginx
    python -m loadtests.rolling restarts --proxy haproxy
    make kills                                          20 kills of workers and of whole replicas
    python -m loadtests.rolling kills --times 5 --seed 7

Postgres, Redis, the simulator, both replicas and the proxy are started here, each as a process. At
the end every call is looked up in the books.
"""

import argparse
import asyncio
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Final

import click
import uvloop
from msgspec import Struct, field

from loadtests.audit import books
from loadtests.audit.calls import booked
from loadtests.audit.evidence import Evidence
from loadtests.bench.processes import allow_many_files
from loadtests.outages.postgres import caught_up
from loadtests.rolling import proxies, verdict
from loadtests.rolling.load import Load, Noted, Shape, calls
from loadtests.rolling.replicas import Kill, Restart, Stand, kill_one, restart, standing
from tests.e2e.programs import API_KEY, until

FAULTS_SHOWN: Final = 20
FULL: Final = 0.95
"""Of the load, before the first restart."""


class Plan(Struct, frozen=True):
    """What is done, and under which load."""

    what: str = "restarts"
    proxy: str = "nginx"
    times: int = 20
    streams: int = 1_000
    sockets: int = 200
    seed: int = 1
    shape: Shape = field(default_factory=Shape)


class Result(Struct):
    """What came of it."""

    noted: list[Noted]
    resent: int
    restarts: list[Restart]
    kills: list[Kill]
    audit: list[str]
    """What the books have otherwise."""

    @property
    def faults(self) -> list[str]:
        """Return a sentence for each thing that should not be."""
        found = verdict.broken(self.noted, self.kills)
        found += verdict.late(self.restarts) + verdict.slow(self.kills)
        return found + self.audit


async def _under_load(stand: Stand, load: Load, plan: Plan) -> tuple[list[Restart], list[Kill]]:
    rng = Random(plan.seed)
    restarts: list[Restart] = []
    kills: list[Kill] = []
    async with asyncio.TaskGroup() as group:
        group.create_task(load.run(streams=plan.streams, sockets=plan.sockets))
        whole = FULL * (plan.streams + plan.sockets)
        async with asyncio.timeout(60 + plan.shape.over_s):
            await load.reached(whole)
        with click.progressbar(range(plan.times), label=plan.what, file=sys.stderr) as moments:
            for number in moments:
                if plan.what == "restarts":
                    gateway = stand.gateways[number % len(stand.gateways)]
                    restarts.append(await restart(gateway))
                else:
                    kills.append(await kill_one(stand.gateways, rng=rng))
        load.end()
    return restarts, kills


def run(folder: Path, plan: Plan) -> Result:
    """Do it all in a folder, and return what was seen."""
    workers = 2 if plan.what == "kills" else 1
    with standing(folder, proxy=plan.proxy, workers=workers) as stand:
        load = Load(stand.port, key=API_KEY, rng=Random(plan.seed), shape=plan.shape)
        restarts, kills = uvloop.run(_under_load(stand, load, plan))
        for gateway in stand.gateways:
            gateway.settled()
            caught_up(gateway)
        journals = [Path(each.environment["CODEX_DATA_DIR"], "journal") for each in stand.gateways]
        until(
            lambda: all(sum(e.is_dir() for e in each.iterdir()) <= workers for each in journals),
            "what the dead have left is adopted",
            within_s=60,
        )
        for gateway in stand.gateways:
            caught_up(gateway)
        stand.simulator.quiet()
        ledger = stand.simulator.see("ledger")
        kept = asyncio.run(books.of_postgres(stand.database_url))
        evidence = Evidence(seen=calls(load.noted), ledger=ledger, books=kept)
        found = list(booked(evidence))
    return Result(load.noted, load.resent, restarts, kills, found)


def lines(plan: Plan, found: Result) -> list[str]:
    """Say what was seen."""
    turns = sum(each.request_id.startswith("socket") for each in found.noted)
    lost = verdict.cut(found.noted)
    load = f"{plan.streams} streams and {plan.sockets} WebSockets at a time"
    said = [
        f"{plan.times} {plan.what} behind {plan.proxy}, {load}:",
        (
            f"{len(found.noted) - turns} streams and {turns} turns, {len(found.noted) - lost} heard"
            f" to their end, {lost} not; {found.resent} turns met a connection's farewell and were"
            " asked on another one;"
        ),
        *verdict.figures(found.restarts, found.kills),
    ]
    moved = sum(each.moved for each in found.noted)
    return [*said, f"{moved} calls were passed on by the proxy to the other replica."]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 1 if anything was lost."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.rolling", description=__doc__)
    usual = Plan()
    parser.add_argument("what", choices=["restarts", "kills"])
    parser.add_argument("--proxy", choices=proxies.NAMES, default=usual.proxy)
    for name in ("times", "streams", "sockets", "seed"):
        parser.add_argument(f"--{name}", type=int, default=getattr(usual, name))
    asked = parser.parse_args(arguments)
    plan = Plan(**vars(asked))
    allow_many_files()
    with tempfile.TemporaryDirectory(prefix="codex2api-rolling-") as folder:
        Path(folder).chmod(0o755)
        found = run(Path(folder), plan)
    print("\n".join(lines(plan, found)))
    for fault in found.faults[:FAULTS_SHOWN]:
        print(f"  {fault}")
    kinds = Counter(each.fault[:40] for each in found.noted if not each.whole)
    for fault, number in kinds.most_common(5):
        print(f"  ended without its terminal event, {number}: {fault}")
    faults = len(found.faults)
    print(f"{faults} faults." if faults else "No call was lost, all books agree.")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
