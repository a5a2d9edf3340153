"""Storms: several faults at once, under load; then one checker looks at all invariants."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import httpx
import pytest

from loadtests.audit import books
from loadtests.audit.evidence import Evidence
from loadtests.audit.invariants import examine
from loadtests.callers import Callers, Pace, Plan
from tests.e2e.programs import API_KEY, until
from tests.e2e.several import Several, running
from tests.servers import PostgresServer, RedisServer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="workers are looked up in /proc"),
]

CALLERS = 8
SHORT = Pace(deltas=(5, 30), events_per_s=(100, 400))


def storm(rng: Random) -> Plan:
    """A tenth of limits at first, and two in a hundred that are cut amid content."""
    chance = rng.random()
    if chance < 0.1:
        return Plan(knobs={"attempts": [{"fault": "429_rate_limit", "retry_after": "1"}]})
    if chance < 0.12:
        return Plan(knobs={"cut_after_events": 9, "cut_mode": "rst", "deltas": 30})
    return Plan()


@pytest.fixture
def several(
    tmp_path: Path, postgres: PostgresServer, redis_server: RedisServer
) -> Iterator[Several]:
    """Two workers, with Postgres and Redis."""
    yield from running(tmp_path, postgres, redis_server, accounts=8)


async def _weather(several: Several, redis_server: RedisServer, callers: Callers) -> None:
    """Load, a Redis that is killed and comes back, a worker that is killed, a restart."""

    async def heard(more: int) -> None:
        wanted = len(callers.seen) + more
        async with asyncio.timeout(60):
            while len(callers.seen) < wanted:  # noqa: ASYNC110 (callers ring no bell)
                await asyncio.sleep(0.05)

    async with asyncio.TaskGroup() as group:
        asking = group.create_task(callers.run(CALLERS))
        await heard(40)
        await asyncio.to_thread(redis_server.kill)
        await heard(40)
        await asyncio.to_thread(redis_server.start)
        await heard(40)
        os.kill(min(several.pids), signal.SIGKILL)
        await heard(40)
        several.signal(signal.SIGINT)
        await asyncio.to_thread(several.wait)
        await asyncio.to_thread(several.begin)
        await heard(40)
        asking.cancel()


def test_all_at_once_breaks_no_promise(several: Several, redis_server: RedisServer) -> None:
    """S-A: books, ledger and callers agree; nothing has leaked, nobody heard another's words."""
    callers = Callers(several.url, key=API_KEY, name="storm", rng=Random(5), pace=SHORT, draw=storm)
    asyncio.run(_weather(several, redis_server, callers))
    until(lambda: several.metrics()["codex2api_leases"] == 0, "no lease is out", within_s=60)
    several.simulator.quiet()
    until(lambda: several.metrics()["codex2api_journal_depth"] == 0, "all is written", within_s=60)
    scrapes = [several.metrics()]
    # Whichever worker was asked may not know of the other's last second; who stops moves all.
    several.signal(signal.SIGINT)
    several.wait()
    report = examine(
        Evidence(
            seen=callers.seen,
            ledger=several.simulator.see("ledger"),
            books=asyncio.run(books.of_postgres(several.environment["DATABASE_URL"])),
            killed=True,
            violations=several.simulator.see("violations"),
            state=several.simulator.see("state"),
            scrapes=scrapes,
            outputs={"the log": several.log.read_bytes()},
            secrets=[
                API_KEY,
                *(each["refresh_token"] for each in several.simulator.see("accounts")),
            ],
        )
    )
    assert report.faults == []
    assert report.whole > 100


RETRIES = 3
OUTAGE_S = 4.0
RECOVERED_S = 30.0


async def _insist(client: httpx.AsyncClient, callers: Callers, until_s: float) -> None:
    """Ask; after a failure ask again at once, three times, as impatient clients do."""
    while time.monotonic() < until_s:
        for _ in range(1 + RETRIES):
            if (await callers.ask(client)).ended:
                break
        await asyncio.sleep(0.05)


def test_callers_that_ask_again_do_not_keep_an_outage_alive(start) -> None:
    """S-C: while it lasts the upstream gets few more attempts than calls; then all is as before."""
    pair = start(accounts=6)
    gateway, simulator = pair.gateway, pair.simulator
    callers = Callers(gateway.url, key=API_KEY, name="again", rng=Random(3), pace=SHORT)

    async def all_of_it() -> tuple[int, int]:
        async with httpx.AsyncClient(timeout=60.0) as client:
            simulator.control(base={"fault": "503_overloaded"})
            async with asyncio.TaskGroup() as group:
                for _ in range(CALLERS):
                    group.create_task(_insist(client, callers, time.monotonic() + OUTAGE_S))
            during = len(callers.seen)
            simulator.control(base={"fault": None})
            over = time.monotonic()
            while not (await callers.ask(client)).ended:
                assert time.monotonic() - over < RECOVERED_S, "it goes on by itself"
            begun = len(callers.seen)
            for _ in range(20):
                await callers.ask(client)
            return during, begun

    during, begun = asyncio.run(all_of_it())
    attempts = len(simulator.records)
    calls = len(callers.seen)
    assert all(each.code for each in callers.seen[:during])
    assert [each.request_id for each in callers.seen[begun:] if not each.ended] == []
    # A fifth of the calls, and what is free in each of the windows of ten seconds.
    assert attempts <= 1.2 * calls + 10 * (OUTAGE_S + RECOVERED_S) / 10
    gateway.settled()
