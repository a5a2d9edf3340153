"""Three real processes on one real Redis: it says what they did, and holds no secret."""

import asyncio
import os
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
import redis

from app.clock import SystemClock
from app.domain.account import AccountId
from app.domain.shared import AccountTally, Snapshot
from app.ports import SharedUnavailable
from app.settings import Driver, Settings
from app.shared.client import client_of
from app.shared.redis import Pace, RedisShared
from tests.shared.settling import Order, Result

pytestmark = pytest.mark.e2e

LEASES = int(os.environ.get("CODEX2API_TEST_LEASES", "100000"))
SKEW = (8, 1, 1)
ACCOUNTS = 10
CAP = 8
CANARY = "canary-0c1f-secret"
LINE_BYTES_MAX = 1 << 30


class Observer:
    """Looks at what all have said."""

    def __init__(self, address: str, name: str) -> None:
        settings = Settings(cache_driver=Driver.REDIS, redis_addr=address)
        self.shared = RedisShared(
            client=client_of(settings),
            incarnation=name,
            clock=SystemClock(),
            pace=Pace(step_s=5.0),
        )

    async def sums(self) -> dict[str, AccountTally]:
        """Return the figures of each account."""
        try:
            await self.shared.publish(Snapshot())
        except SharedUnavailable:
            await asyncio.sleep(0.05)
        names = [AccountId(f"account-{number}") for number in range(ACCOUNTS)]
        return {name: self.shared.view().account(name) for name in names}

    async def until(self, requests: Counter[str], tokens: Counter[str]) -> dict[str, AccountTally]:
        """Return the figures once they are these."""
        while True:
            found = await self.sums()
            if all(
                (each.requests, each.tokens) == (requests[name], tokens[name])
                for name, each in found.items()
            ):
                return found
            await asyncio.sleep(0.05)


@asynccontextmanager
async def workers(
    address: str, *, leases: int, call_s: float, step_s: float
) -> AsyncIterator[list[asyncio.subprocess.Process]]:
    """Run three workers that have their shares and have just begun."""
    found = []
    try:
        for number, part in enumerate(SKEW):
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.shared.settling",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=LINE_BYTES_MAX,
            )  # fmt: skip
            found.append(process)
            mine = leases * part // sum(SKEW)
            name = f"worker-{number}"
            order = Order(address, name, ACCOUNTS, CAP, mine, CANARY, call_s, step_s)
            process.stdin.write(msgspec.json.encode(order) + b"\n")
        for process in found:
            assert await process.stdout.readline() == b"ready\n"
        for process in found:
            process.stdin.write(b"go\n")
        yield found
    finally:
        for process in found:
            process.stdin.close()
            await process.wait()


async def results_of(
    processes: list[asyncio.subprocess.Process],
) -> tuple[list[Result], Counter[str], Counter[str]]:
    """Return what each did, and all their requests and tokens by account."""
    lines = [await process.stdout.readline() for process in processes]
    results = [msgspec.json.decode(line, type=Result) for line in lines]
    requests = sum((Counter(result.requests) for result in results), Counter())
    tokens = sum((Counter(result.tokens) for result in results), Counter())
    return results, requests, tokens


def most_in_flight(results: list[Result]) -> int:
    """Return the most calls that all had under way with one account at a time."""
    under_way: defaultdict[str, int] = defaultdict(int)
    most = 0
    for _, name, step in sorted(change for result in results for change in result.changes):
        under_way[name] += step
        most = max(most, under_way[name])
    return most


def contents(server: redis.Redis) -> bytes:
    """Return everything that lies in Redis, names included."""
    found = []
    for key in server.scan_iter():
        match server.type(key):
            case b"hash":
                values = [part for pair in server.hgetall(key).items() for part in pair]
            case b"list":
                values = server.lrange(key, 0, -1)
            case b"zset":
                values = server.zrange(key, 0, -1)
            case _:
                values = [server.get(key)]
        found += [key, *values]
    return b"\n".join(found)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
async def test_what_three_processes_did_is_what_redis_says(redis_server) -> None:
    """To the call and the token; also after one was killed, and after everything was lost."""
    with redis.Redis(port=redis_server.port) as server:
        server.flushall()
        observer = Observer(redis_server.url, "observer")
        load = workers(redis_server.url, leases=LEASES, call_s=0.004, step_s=2.0)
        async with load as processes:
            results, requests, tokens = await results_of(processes)
            assert requests.total() == sum(LEASES * part // sum(SKEW) for part in SKEW)
            found = await observer.until(requests, tokens)
            assert all(each.in_flight == 0 for each in found.values())
            assert most_in_flight(results) == CAP
            processes[0].kill()
            while observer.shared.view().processes > 3:
                assert await observer.until(requests, tokens)
            server.flushall()
            late = Observer(redis_server.url, "late")
            for each in (observer, late):
                assert await each.until(requests, tokens)
            held = contents(server)
            assert b"account-0" in held
            assert CANARY.encode() not in held
            await late.shared.close()
        await observer.shared.close()


@pytest.mark.slow
async def test_trouble_with_redis_breaks_no_promise(redis_server) -> None:
    """Frozen, emptied, killed and started under load: no cap is exceeded, nothing is lost."""
    with redis.Redis(port=redis_server.port) as server:
        server.flushall()
    load = workers(redis_server.url, leases=16_000, call_s=0.05, step_s=0.2)
    async with load as processes:
        await asyncio.sleep(1.0)
        redis_server.freeze()
        await asyncio.sleep(3.0)
        redis_server.thaw()
        await asyncio.sleep(1.0)
        with redis.Redis(port=redis_server.port) as server:
            server.flushall()
        await asyncio.sleep(1.0)
        redis_server.kill()
        await asyncio.sleep(1.0)
        await asyncio.to_thread(redis_server.start)
        results, requests, tokens = await results_of(processes)
        observer = Observer(redis_server.url, "observer")
        await observer.until(requests, tokens)
        assert most_in_flight(results) == CAP
        await observer.shared.close()
