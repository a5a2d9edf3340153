"""Three gateways share accounts of eight calls each under a load that is anything but even.

python -m loadtests.shares                 half a minute
python -m loadtests.shares --seconds 8

All three ask for more than the accounts take, one of them ten times as much as the others. The
simulator is the judge: it must never see more calls under way with an account than its cap, and
hardly a place may stay empty while calls wait. Then the busiest gateway is killed, and the calls
that others have waiting must get its places.
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from typing import Any, Final

import httpx
from msgspec import Struct

from loadtests import callers
from loadtests.callers import Callers
from tests.e2e.programs import API_KEY, Gateway, Simulator
from tests.servers import shared_home

PROCESSES: Final = 3
ACCOUNTS: Final = 6
CAP: Final = 8
PLACES: Final = ACCOUNTS * CAP
SKEW: Final = (60, 6, 6)
"""Callers of each gateway: more than there are places."""
MORE: Final = 30
"""Callers that come to each of the others when one is killed."""
PACE: Final = callers.Pace(deltas=(20, 20), events_per_s=(10, 10))
"""Calls of two seconds."""
WARM_S: Final = 6.0
AFTER_S: Final = 8.0
UTILISATION_MIN: Final = 0.95
BACK_S_MAX: Final = 3.0


class Result(Struct, frozen=True):
    """What the simulator saw."""

    most: int
    """Calls under way with one account at a time."""
    utilisation: float
    """Share of all places that were taken while calls waited, on the average."""
    back_s: float
    """After the kill, how long until nearly all places were taken again; infinite for never."""
    failed: int
    """Calls of the gateways that were not killed which were not heard to their end."""

    @property
    def good(self) -> bool:
        """Tell whether all promises were kept."""
        return (
            self.most <= CAP
            and self.utilisation >= UTILISATION_MIN
            and self.back_s <= BACK_S_MAX
            and not self.failed
        )


class Call(Struct, frozen=True):
    """When a call was under way with which account, in seconds of the monotonic clock."""

    account: str
    since: float
    until: float


def calls(records: Sequence[Mapping[str, Any]]) -> list[Call]:
    """Return the calls of a simulator's ledger."""
    return [
        Call(record["account"], record["began_ns"] / 1e9, record["ended_ns"] / 1e9)
        for record in records
        if record["path"].endswith("/responses") and record["account"] and record["ended_ns"]
    ]


def steps(found: Sequence[Call]) -> list[tuple[float, int, str]]:
    """Return each beginning and each end in their order; who ends makes room for who begins."""
    both = [(each.since, 1, each.account) for each in found]
    both += [(each.until, -1, each.account) for each in found]
    return sorted(both)


def most_at_a_time(found: Sequence[Call]) -> int:
    """Return the most calls that were under way with one account at a time."""
    under_way: defaultdict[str, int] = defaultdict(int)
    most = 0
    for _, step, account in steps(found):
        under_way[account] += step
        most = max(most, under_way[account])
    return most


def taken(found: Sequence[Call], since: float, until: float) -> float:
    """Return the share of all places that were taken between two moments, on the average."""
    spans = (min(each.until, until) - max(each.since, since) for each in found)
    return sum(max(0.0, span) for span in spans) / (PLACES * (until - since))


def full_again_s(found: Sequence[Call], since: float) -> float:
    """Return how long after a moment nearly all places were taken, having not been so before."""
    under_way, dipped = 0, False
    for at, step, _ in steps(found):
        under_way += step
        if at < since:
            continue
        dipped |= under_way < UTILISATION_MIN * PLACES
        if dipped and under_way >= UTILISATION_MIN * PLACES:
            return at - since
    return float("inf")


@contextmanager
def processes(folder: Path) -> Iterator[tuple[Simulator, list[Gateway]]]:
    """Run a simulator and three gateways on one Postgres and one Redis."""
    with ExitStack() as stack:
        shared = stack.enter_context(shared_home(folder))
        simulator = Simulator(folder, accounts=ACCOUNTS)
        stack.callback(simulator.stop)
        gateways = []
        for number in range(PROCESSES):
            place = folder / f"gateway-{number}"
            place.mkdir()
            gateway = Gateway(place, simulator, limits=None, **shared)
            stack.callback(gateway.stop)
            gateways.append(gateway)
        enrol(gateways[0], simulator)
        for gateway in gateways:
            gateway.start()
        yield simulator, gateways


def enrol(gateway: Gateway, simulator: Simulator) -> None:
    """Import the accounts, each with its cap."""
    file = gateway.log.parent / "accounts.json"
    file.write_bytes(simulator.client.get("accounts").raise_for_status().content)
    gateway.command("accounts", "import", str(file), "--concurrency-max", str(CAP))


async def load(gateways: Sequence[Gateway], *, seconds: float) -> tuple[float, float, int]:
    """Ask, kill the busiest, ask on; return when measuring began and the kill was, and failures."""
    asking = [
        Callers(gateway.url, key=API_KEY, name=f"c{number}", rng=Random(number), pace=PACE)
        for number, gateway in enumerate(gateways)
    ]
    over = asyncio.Event()

    async def ask(who: Callers, client: httpx.AsyncClient, gone: asyncio.Event) -> None:
        while not (over.is_set() or gone.is_set()):
            await who.ask(client)

    async with httpx.AsyncClient(
        timeout=callers.TIMEOUT_S, limits=httpx.Limits(max_connections=None)
    ) as client:
        killed = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for number, who in enumerate(asking):
                for _ in range(SKEW[number]):
                    group.create_task(ask(who, client, over if number else killed))
            await asyncio.sleep(WARM_S)
            since = time.monotonic()
            await asyncio.sleep(seconds)
            kill_at = time.monotonic()
            killed.set()
            process = gateways[0].process
            if process is not None:
                end_tree(process.pid)
            for who in asking[1:]:
                for _ in range(MORE):
                    group.create_task(ask(who, client, over))
            await asyncio.sleep(AFTER_S)
            over.set()
    failed = sum(not seen.ended for who in asking[1:] for seen in who.seen)
    return since, kill_at, failed


def end_tree(pid: int) -> None:
    """Kill a server and its workers, which leaves nobody to say goodbye."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for each in (pid, *map(int, children)):
        os.kill(each, signal.SIGKILL)


def run(folder: Path, *, seconds: float) -> Result:
    """Do it all in a folder, and return what was seen."""
    with processes(folder) as (simulator, gateways):
        since, kill_at, failed = asyncio.run(load(gateways, seconds=seconds))
        simulator.quiet()
        found = calls(simulator.see("ledger"))
    return Result(
        most_at_a_time(found), taken(found, since, kill_at), full_again_s(found, kill_at), failed
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.shares", description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0, help="30 if not given")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="codex2api-shares-") as folder:
        found = run(Path(folder), seconds=asked.seconds)
    print(
        f"{PROCESSES} processes, {ACCOUNTS} accounts of {CAP} calls each, callers {SKEW}:\n"
        f"at most {found.most} calls under way with an account (bound {CAP});\n"
        f"{found.utilisation:.1%} of all places taken (at least {UTILISATION_MIN:.0%});\n"
        f"after kill -9 of the busiest, {UTILISATION_MIN:.0%} of them taken again after"
        f" {found.back_s:.2f} s (at most {BACK_S_MAX:g} s);\n"
        f"{found.failed} failed calls of those that live."
    )
    return 0 if found.good else 1


if __name__ == "__main__":
    sys.exit(main())
