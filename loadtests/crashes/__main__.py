"""Kills the gateway with SIGKILL at random moments under load, and audits its books at the end.

    make crashes                                   a hundred times
    python -m loadtests.crashes --kills 10 --seed 7

Callers go on asking all the time, through the simulator's accounts. After the last kill the gateway
runs once more, so that it moves what the dead ones have left, and then every call is looked up.
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Final

import click

from loadtests.audit import books
from loadtests.audit.evidence import Evidence
from loadtests.audit.invariants import Report, examine
from loadtests.callers import Callers
from tests.e2e.programs import API_KEY, Gateway, Simulator, enrol, until

CALLERS: Final = 16
ACCOUNTS: Final = 8
ALIVE_S: Final = 1.5
"""The longest that a gateway lives under load."""


def family(pid: int) -> list[int]:
    """Return a process and all that it has started."""
    found = [pid]
    for each in found:
        for task in Path(f"/proc/{each}/task").glob("*/children"):
            found += map(int, task.read_text().split())
    return found


def kill(gateway: Gateway) -> None:
    """End the gateway's processes as a power failure does: nobody gets to tidy up."""
    main = gateway.process
    if main is None:
        return
    for pid in family(main.pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    main.wait()


async def crash(gateway: Gateway, callers: Callers, *, kills: int, rng: Random) -> None:
    """Run, kill and run again, while the callers go on; afterwards nobody asks any more."""
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(callers.run(CALLERS))
        with click.progressbar(range(kills), label="killing", file=sys.stderr) as moments:
            for _ in moments:
                await asyncio.sleep(ALIVE_S * rng.random())
                await asyncio.to_thread(kill, gateway)
                await asyncio.to_thread(gateway.start)
        asking.cancel()


def run(folder: Path, *, kills: int, seed: int) -> tuple[Report, Callers]:
    """Do it all in a folder, and return what was found."""
    rng = Random(seed)
    simulator = Simulator(folder, accounts=ACCOUNTS)
    gateway = Gateway(folder, simulator)
    try:
        enrol(gateway, simulator)
        gateway.start()
        callers = Callers(gateway.url, key=API_KEY, name=f"crash-{seed}", rng=rng)
        asyncio.run(crash(gateway, callers, kills=kills, rng=rng))
        journal = folder / "data" / "journal"
        # The living one has a folder of its own; those of the dead go once they are moved.
        until(lambda: sum(each.is_dir() for each in journal.iterdir()) == 1, "all are adopted")
        gateway.settled()
        simulator.quiet()
        scrapes = [gateway.metrics()]
        gateway.stop()
        found = examine(
            Evidence(
                seen=callers.seen,
                ledger=simulator.see("ledger"),
                books=books.of_sqlite(folder / "data" / "codex2api.db"),
                killed=True,
                violations=simulator.see("violations"),
                state=simulator.see("state"),
                scrapes=scrapes,
            )
        )
    finally:
        gateway.stop()
        simulator.stop()
    return found, callers


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 1 if anything does not agree."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.crashes", description=__doc__)
    parser.add_argument("--kills", type=int, default=100, help="how often; 100 if not given")
    parser.add_argument("--seed", type=int, default=1, help="of the moments and the load")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="codex2api-crashes-") as folder:
        found, callers = run(Path(folder), kills=asked.kills, seed=asked.seed)
    print(
        f"{asked.kills} kills, seed {asked.seed}: {len(callers.seen)} calls, {found.whole} heard"
        f" to their end, {found.broken} broken off after content, {callers.refused} found nobody."
    )
    for fault in found.shown:
        print(f"  {fault}")
    print(f"{len(found.faults)} disagreements." if found.faults else "All books agree.")
    return 1 if found.faults else 0


if __name__ == "__main__":
    sys.exit(main())
