"""A worker without a gateway: leases, settles and shares; a program for `tests/e2e/test_shared.py`.

It reads a line of JSON from its input: where Redis is, who it is, and what it is to do. It prints
`ready` once it has its shares, what it did once it has said all of it, and then only says that it
lives, until its input ends.
"""

import asyncio
import sys
import time
from collections import deque
from collections.abc import Callable
from random import Random

import msgspec
from msgspec import Struct

from app.clock import SystemClock
from app.domain.account import Account, AccountId, AccountKind, Credential, Secret
from app.domain.shared import AccountRested, Presence
from app.pool.counters import Changes
from app.pool.state import AccountState
from app.settings import Driver, Settings
from app.shared.client import client_of
from app.shared.redis import Pace, RedisShared
from app.shared.sync import Receivers, Sources, Syncer

TICK_S = 0.002


class Order(Struct):
    """What a worker is to do."""

    address: str
    name: str
    accounts: int
    cap: int
    leases: int
    canary: str
    """What must be in Redis nowhere."""
    call_s: float
    """How long a call lasts."""
    step_s: float
    """How long an answer of Redis may take."""


class Result(Struct):
    """What it did."""

    requests: dict[str, int]
    tokens: dict[str, int]
    changes: list[tuple[float, str, int]]
    """When the calls under way with an account became more or fewer, on the machine's clock."""


class Worker:
    """Its accounts and the calls that are under way."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.rng = Random(order.name)
        self.changed = Changes()
        self.changes: list[tuple[float, str, int]] = []
        secret = Secret(order.canary)
        self.states = {
            AccountId(f"account-{number}"): AccountState(
                Account(
                    id=AccountId(f"account-{number}"),
                    name=order.canary,
                    kind=AccountKind.CODEX,
                    credential=Credential(secret),
                    email=order.canary,
                    concurrency_max=order.cap,
                )
            )
            for number in range(order.accounts)
        }
        self.shares: dict[AccountId, int] = {}
        self.ends: deque[tuple[float, AccountState]] = deque()
        self.left = order.leases
        self.missed = 0

    def syncer(self) -> Syncer:
        """Return what keeps it in touch."""
        settings = Settings(cache_driver=Driver.REDIS, redis_addr=self.order.address)
        clock = SystemClock()
        name = self.order.name
        return Syncer(
            shared=RedisShared(
                client=client_of(settings),
                incarnation=name,
                clock=clock,
                pace=Pace(step_s=self.order.step_s),
            ),
            sources=Sources(
                counters=lambda since: self.changed.counters(incarnation=name, since=since),
                account=self.states.get,
                roster=lambda: self.states,
                waiting=lambda: min(self.left, 20),
                spent=list,
                presence=Presence,
                bindings=lambda _: (),
            ),
            receivers=Receivers(
                limit=self.shares.__setitem__,
                shared=lambda: None,
                spent=lambda _: None,
                bound=lambda _: None,
                rested=lambda _: None,
                reset=lambda _: None,
                quota=lambda _: None,
                renewed=lambda *_: None,
                changed=lambda _: None,
                revoked=lambda _: None,
                drain=lambda: None,
                missed=self._miss,
            ),
            clock=clock,
            rng=self.rng,
        )

    def _miss(self) -> None:
        self.missed += 1

    def tick(self) -> None:
        """Settle what is over and lease what can be leased."""
        now = time.monotonic()
        while self.ends and self.ends[0][0] <= now:
            _, state = self.ends.popleft()
            state.tokens += self.rng.randrange(1_000)
            self._count(state, -1)
        for account_id, share in self.shares.items():
            state = self.states[account_id]
            for _ in range(min(share - state.in_flight, self.left)):
                self.left -= 1
                state.requests += 1
                self._count(state, 1)
                self.ends.append((now + self.order.call_s, state))

    def _count(self, state: AccountState, step: int) -> None:
        state.in_flight += step
        self.changed.touch(state)
        self.changes.append((time.monotonic(), state.account.id, step))


def say(line: str) -> None:
    """Tell whoever started this program."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def until(condition: Callable[[], bool]) -> None:
    """Return once something is so."""
    while True:
        if condition():
            return
        await asyncio.sleep(TICK_S)


async def main() -> None:
    """Do as ordered."""
    loop = asyncio.get_running_loop()
    line = await loop.run_in_executor(None, sys.stdin.readline)
    order = msgspec.json.decode(line, type=Order)
    worker = Worker(order)
    syncer = worker.syncer()
    async with asyncio.TaskGroup() as group:
        run = group.create_task(syncer.run())
        syncer.roster_changed()
        await until(lambda: syncer.settled)
        say("ready")
        await loop.run_in_executor(None, sys.stdin.readline)
        syncer.announce(AccountRested(AccountId("account-0"), 2e9, "rate limit", "m1"))
        while worker.left or worker.ends:
            worker.tick()
            await asyncio.sleep(TICK_S)
        done_at = time.monotonic()
        await until(lambda: time.monotonic() - syncer.age_s > done_at)
        result = Result(
            requests={name: state.requests for name, state in worker.states.items()},
            tokens={name: state.tokens for name, state in worker.states.items()},
            changes=worker.changes,
        )
        say(msgspec.json.encode(result).decode())
        await loop.run_in_executor(None, sys.stdin.read)
        run.cancel()


if __name__ == "__main__":
    asyncio.run(main())
