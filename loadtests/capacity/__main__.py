"""`make capacity`: what processes cost a Redis, and calls a Postgres; then the page of it.

    python -m loadtests.capacity               100 processes at last, some minutes
    python -m loadtests.capacity --processes 2 10

Costs are CPU time and bytes by the servers' own books, so that other work on the machine moves the
pace and hardly the figures. The processes are links without gateways, a few to a program
(`member.py`); calls are made by a real gateway.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, Final

import asyncpg
import httpx
import msgspec
import redis

from loadtests.callers import Callers, Pace
from loadtests.capacity.figures import STREAM_S, Calls, Fleet, Measured, from_bench
from loadtests.capacity.member import Done, Order
from loadtests.capacity.report import BENCH, save
from tests.e2e.programs import API_KEY, Gateway, Simulator, enrol
from tests.servers import RedisServer, shared_home

PROGRAMS: Final = 4
ACCOUNTS: Final = 1_000
CAP: Final = 8
STREAMS: Final = 50
"""Of each process: all together what the accounts take at most."""
WARM_S: Final = 10.0
"""Until shares have found their places; a process that begins moves all of them."""
SECONDS: Final = 8.0
CALLS: Final = 600
AT_ONCE: Final = 4
MOVED_S: Final = 30.0
SHORT: Final = Pace(deltas=(10, 10), events_per_s=(1_000, 1_000))
NEVER: Final = {"calls": 0}
BOOKS: Final = """
    SELECT sum(xact_commit)::float8, sum(tup_inserted + tup_updated + tup_deleted)::float8,
           pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8
    FROM pg_stat_database
"""


def fleet(processes: int, *, seconds: float) -> Fleet:
    """Run so many processes on one Redis; return what they cost it."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="codex2api-capacity-"))
        server = RedisServer(Path(folder))
        stack.callback(server.stop)
        server.start()
        asked = redis.Redis(port=server.port)
        stack.callback(asked.close)
        programs = []
        for number in range(min(PROGRAMS, processes)):
            share = len(range(number, processes, PROGRAMS))
            order = Order(server.url, number * 1_000, share, ACCOUNTS, CAP, STREAMS, STREAM_S)
            programs.append(_program(stack, order))
        for each in programs:
            if _heard(each) != "ready":
                raise RuntimeError("a program did not become ready")
        time.sleep(WARM_S)
        before = asked.info("all")
        for each in programs:
            _tell(each)
        time.sleep(seconds)
        for each in programs:
            _tell(each)
        after = asked.info("all")
        done = [msgspec.json.decode(_heard(each), type=Done) for each in programs]
    return _costs(processes, done, before, after)


def _costs(
    processes: int, done: Sequence[Done], before: dict[str, Any], after: dict[str, Any]
) -> Fleet:
    if min(each.heard for each in done) < processes:
        raise RuntimeError("not all processes know of each other")
    rounds = sum(each.rounds for each in done)

    def spent(*names: str) -> float:
        return sum(float(after[name]) - float(before[name]) for name in names)

    def called(*commands: str) -> int:
        names = [f"cmdstat_{each}" for each in commands]
        return sum(
            int(after.get(name, NEVER)["calls"]) - int(before.get(name, NEVER)["calls"])
            for name in names
        )

    return Fleet(
        processes=processes,
        streams=STREAMS,
        rounds_per_s=rounds / processes / max(each.seconds for each in done),
        redis_us=spent("used_cpu_user", "used_cpu_sys") / rounds * 1e6,
        own_us=sum(each.cpu_s for each in done) / rounds * 1e6,
        sent_bytes=spent("total_net_output_bytes") / rounds,
        received_bytes=spent("total_net_input_bytes") / rounds,
        asked=called("evalsha", "eval", "mget", "ping", "get", "set") / rounds,
    )


def _program(stack: ExitStack, order: Order) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-m", "loadtests.capacity.member"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    stack.enter_context(process)
    stack.callback(process.kill)
    _tell(process, msgspec.json.encode(order).decode())
    return process


def _tell(process: "subprocess.Popen[str]", line: str = "") -> None:
    if process.stdin is not None:
        process.stdin.write(f"{line}\n")
        process.stdin.flush()


def _heard(process: "subprocess.Popen[str]") -> str:
    return process.stdout.readline().strip() if process.stdout is not None else ""


def calls(count: int) -> Calls:
    """Make calls through a gateway over Postgres and Redis; return what each cost."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="codex2api-calls-")))
        shared = stack.enter_context(shared_home(folder))
        url, place = shared["DATABASE_URL"], folder / "gateway"
        place.mkdir()
        simulator = Simulator(place, accounts=8)
        stack.callback(simulator.stop)
        gateway = Gateway(place, simulator, limits=None, **shared)
        stack.callback(gateway.stop)
        enrol(gateway, simulator)
        gateway.start()
        asking = Callers(gateway.url, key=API_KEY, name="calls", rng=Random(1), pace=SHORT)
        before = asyncio.run(_books(url, settled=0))
        began = time.monotonic()
        asyncio.run(_ask(asking, count))
        after = asyncio.run(_books(url, settled=count))
        seconds = time.monotonic() - began
        idle = asyncio.run(_idle(url))
    # What it does anyway, calls or none, is no call's.
    own = [now - then - rest * seconds for now, then, rest in zip(after, before, idle, strict=True)]
    return Calls(count, rows=own[1] / count, commits=own[0] / count, wal_bytes=own[2] / count)


async def _ask(asking: Callers, count: int) -> None:
    async def ask() -> None:
        async with httpx.AsyncClient(timeout=60.0) as client:
            for _ in range(count // AT_ONCE):
                await asking.ask(client)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(ask())


async def _books(url: str, *, settled: int) -> tuple[float, float, float]:
    """Return Postgres' own figures once so many calls are in the request log."""
    connection = await asyncpg.connect(url)
    try:
        deadline = time.monotonic() + MOVED_S
        while await connection.fetchval("SELECT count(*) FROM requests") < settled:
            if time.monotonic() > deadline:
                raise RuntimeError("the calls did not reach the database")
            await asyncio.sleep(0.1)
        # Its sessions tell of themselves once a second.
        await asyncio.sleep(1.5)
        commits, rows, wal = await connection.fetchrow(BOOKS)
    finally:
        await connection.close()
    return commits, rows, wal


async def _idle(url: str) -> list[float]:
    began, first = time.monotonic(), await _books(url, settled=0)
    await asyncio.sleep(SECONDS)
    last = await _books(url, settled=0)
    seconds = time.monotonic() - began
    return [(now - then) / seconds for now, then in zip(last, first, strict=True)]


def main() -> None:
    """Measure, and keep what came of it."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.capacity", description=__doc__)
    parser.add_argument("--processes", type=int, nargs="+", default=[2, 10, 25, 50, 100])
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--calls", type=int, default=CALLS)
    given = parser.parse_args()
    fleets = []
    for processes in given.processes:
        try:
            fleets.append(fleet(processes, seconds=given.seconds))
        except RuntimeError as error:
            # The others' figures are worth keeping.
            print(f"{processes} processes are left out: {error}", flush=True)
            continue
        print(json.dumps(msgspec.to_builtins(fleets[-1])), flush=True)
    made = calls(given.calls)
    print(json.dumps(msgspec.to_builtins(made)), flush=True)
    date = datetime.now(UTC).strftime("%Y-%m-%d")
    save(Measured(date, from_bench(BENCH.read_text("utf-8")), fleets, made))


if __name__ == "__main__":
    main()
