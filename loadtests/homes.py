"""What a call costs a gateway in its two homes: SQLite and memory, Postgres and Redis.

    python -m loadtests.homes

The same calls go to both in turns, so that whatever else runs on the machine is met by both. A
figure is user and system time of the gateway's processes a call, the median over the rounds;
selection, limits, accounting and the moving of the journal are in it.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from statistics import median
from typing import Final

import httpx
from msgspec import Struct

from loadtests.bench.processes import CPUCLOCK_SCHED
from loadtests.callers import Callers, Pace
from loadtests.crashes.__main__ import family
from tests.e2e.programs import API_KEY, Gateway, Simulator, enrol
from tests.servers import shared_home

AT_ONCE: Final = 4
SHORT: Final = Pace(deltas=(10, 10), events_per_s=(1_000, 1_000))
RATIO_MAX: Final = 1.25
"""As much more may the home of many cost: what is shared is sent a few times a second."""


class Home(Struct):
    """A gateway in one of them, and who asks it."""

    name: str
    gateway: Gateway
    callers: Callers

    def cpu_s(self) -> float:
        """Return the CPU time of its processes so far."""
        process = self.gateway.process
        pids = family(process.pid) if process is not None else []
        return sum(time.clock_gettime(~pid << 3 | CPUCLOCK_SCHED) for pid in pids)


@contextmanager
def homes(folder: Path) -> Iterator[list[Home]]:
    """Start a gateway in each home."""
    with ExitStack() as stack:
        shared = stack.enter_context(shared_home(folder))
        found: list[Home] = []
        alone: dict[str, str] = {}
        for name, environment in (("alone", alone), ("many", shared)):
            place = folder / name
            place.mkdir()
            simulator = Simulator(place, accounts=8)
            stack.callback(simulator.stop)
            gateway = Gateway(place, simulator, limits=None, **environment)
            stack.callback(gateway.stop)
            enrol(gateway, simulator)
            gateway.start()
            asking = Callers(gateway.url, key=API_KEY, name=name, rng=Random(1), pace=SHORT)
            found.append(Home(name, gateway, asking))
        yield found


async def burst(home: Home, calls: int) -> float:
    """Make so many calls; return the CPU seconds that each cost."""
    began = home.cpu_s()

    async def ask(count: int) -> None:
        async with httpx.AsyncClient(timeout=60.0) as client:
            for _ in range(count):
                await home.callers.ask(client)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(ask(calls // AT_ONCE))
    return (home.cpu_s() - began) / calls


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 1 if the home of many costs too much, or if a call failed."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.homes", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="9 if not given")
    parser.add_argument("--calls", type=int, default=200, help="a round; 200 if not given")
    asked = parser.parse_args(arguments)
    with (
        tempfile.TemporaryDirectory(prefix="codex2api-homes-") as folder,
        homes(Path(folder)) as both,
    ):
        costs: dict[str, list[float]] = {home.name: [] for home in both}
        for _ in range(1 + asked.rounds):
            for home in both:
                costs[home.name].append(asyncio.run(burst(home, asked.calls)))
        failed = sum(not each.ended for home in both for each in home.callers.seen)
    alone, many = (median(costs[name][1:]) * 1e6 for name in ("alone", "many"))
    print(f"SQLite, memory    {alone:6.0f} us of CPU a call")
    print(
        f"Postgres, Redis   {many:6.0f} us of CPU a call, {many / alone:.2f}x, at most {RATIO_MAX}x"
    )
    print(f"{failed} calls failed.")
    return 1 if failed or many > alone * RATIO_MAX else 0


if __name__ == "__main__":
    sys.exit(main())
