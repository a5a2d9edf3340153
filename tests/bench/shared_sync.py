"""What a round costs a process and Redis, with 10,000 accounts of which 200 changed. Run by hand.

PYTHONPATH=. .venv/bin/python tests/bench/shared_sync.py [processes]
"""

import sys
import tempfile
import time
from pathlib import Path
from random import Random

import redis
import uvloop

from app.clock import SystemClock
from app.domain.account import AccountId
from app.domain.shared import AccountTally, Claim, Snapshot
from app.settings import Driver, Settings
from app.shared.client import client_of
from app.shared.redis import Pace, RedisShared
from tests.servers import RedisServer

ACCOUNTS = 10_000
CHANGED = 200
ROUNDS = 40
NAMES = [AccountId(f"{number:016x}") for number in range(ACCOUNTS)]


class Meter:
    """Processor time of this process and of Redis, time on the clock, and bytes on the wire."""

    def __init__(self, server: redis.Redis) -> None:
        self._server = server
        self.reset()

    def _read(self) -> tuple[float, float, float, int]:
        cpu, stats = self._server.info("cpu"), self._server.info("stats")
        redis_s = float(cpu["used_cpu_user"]) + float(cpu["used_cpu_sys"])
        moved = stats["total_net_input_bytes"] + stats["total_net_output_bytes"]
        return time.process_time(), redis_s, time.perf_counter(), int(moved)

    def report(self, what: str, times: int) -> None:
        """Print what one of so many cost since the last report."""
        now = self._read()
        own, theirs, wall, moved = (b - a for a, b in zip(self._before, now, strict=True))
        print(
            f"{what:44} {own / times * 1e3:8.2f} ms here {theirs / times * 1e3:8.2f} ms in Redis "
            f"{wall / times * 1e3:8.2f} ms in all {moved / times / 1e3:8.1f} kB"
        )
        self.reset()

    def reset(self) -> None:
        """Leave out what happened until now."""
        self._before = self._read()


def rows(rng: Random, count: int) -> list[AccountTally]:
    """Return figures of some accounts."""
    return [
        AccountTally(name, rng.randrange(8), 0, rng.randrange(99_999), rng.randrange(10**9))
        for name in rng.sample(NAMES, count)
    ]


async def main() -> None:
    """Print a line for each kind of round."""
    processes = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    rng = Random(1)
    folder = tempfile.TemporaryDirectory()
    server = RedisServer(Path(folder.name))
    server.start()
    raw = redis.Redis(port=server.port)
    raw.hset("c2a:meta", "calm", "1")
    settings = Settings(cache_driver=Driver.REDIS, redis_addr=server.url)
    members = [
        RedisShared(
            client=client_of(settings),
            incarnation=f"{number:016x}",
            clock=SystemClock(),
            pace=Pace(step_s=10.0, gone_s=1_000.0),
        )
        for number in range(processes)
    ]
    meter = Meter(raw)
    for member in members:
        await member.publish(Snapshot(accounts=rows(rng, ACCOUNTS)))
    meter.report("first round, all accounts (each process)", processes)
    for member in members:
        await member.publish(Snapshot())
    meter.report("second round (each process)", processes)
    for _ in range(ROUNDS):
        for member in members:
            await member.publish(Snapshot(accounts=rows(rng, CHANGED)))
    meter.report(f"round, {CHANGED} changed in each of {processes}", ROUNDS * processes)
    for _ in range(ROUNDS):
        for member in members:
            await member.publish(Snapshot())
    meter.report(f"round, nothing changed, {processes} processes", ROUNDS * processes)
    for member in members:
        for start in range(0, ACCOUNTS, 500):
            await member.claim([Claim(each, 32, 0, 2) for each in NAMES[start : start + 500]])
    meter.report("500 claims", processes * ACCOUNTS // 500)
    print(f"memory of Redis {raw.info('memory')['used_memory'] / 1e6:.1f} MB")
    raw.zincrby("c2a:seen", -100_000, members[-1].incarnation)
    meter.reset()
    await members[0].publish(Snapshot())
    meter.report(f"retiring a process with {ACCOUNTS} accounts", 1)
    for member in members:
        await member.close()
    raw.close()
    server.stop()
    folder.cleanup()


if __name__ == "__main__":
    uvloop.run(main())
