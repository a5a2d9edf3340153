"""Some processes' links to the others, without gateways: a program for `loadtests.capacity`.

It reads an order as a line of JSON, runs as many `Syncer`s as that says over a real Redis, each
with accounts of its own under a steady load, and prints what they have done once its input says so.
One such program stands for many processes: each `Syncer` has its own connections, its own image and
its own view of all others.
"""

import asyncio
import sys
import time
from collections import deque
from random import Random
from typing import Final

import msgspec
import uvloop
from msgspec import Struct

from app.clock import SystemClock
from app.domain.account import Account, AccountId, AccountKind, Credential, Secret
from app.domain.shared import KeySpent, Presence
from app.pool.counters import Changes
from app.pool.state import AccountState
from app.settings import Driver, Settings
from app.shared.client import client_of
from app.shared.redis import Pace, RedisShared
from app.shared.sync import Receivers, Sources, Syncer

TICK_S: Final = 0.05
STEP_S: Final = 10.0
"""How long an answer may take: the machine is slower than those it stands for."""
GONE_S: Final = 60.0
"""How long one may be silent and count as there, for the same reason."""


class Order(Struct):
    """What a program is to stand for."""

    address: str
    first: int
    processes: int
    accounts: int
    cap: int
    streams: int
    """Of each process, at a time."""
    stream_s: float


class Done(Struct):
    """What its processes did since it was told to begin."""

    seconds: float
    cpu_s: float
    rounds: int
    started: int
    """Streams."""
    heard: int
    """The smallest number of processes that one of them knows of."""


class Member:
    """One process: accounts, streams that come and go, and what keeps it in touch."""

    def __init__(self, order: Order, number: int) -> None:
        self._order = order
        self._rng = Random(number)
        self._changes = Changes()
        self._states = {
            AccountId(f"{each:016x}"): AccountState(
                Account(
                    id=AccountId(f"{each:016x}"),
                    name=str(each),
                    kind=AccountKind.CODEX,
                    credential=Credential(Secret("nothing")),
                    concurrency_max=order.cap,
                )
            )
            for each in range(order.accounts)
        }
        self._all = list(self._states.values())
        self._ends: deque[tuple[float, AccountState]] = deque()
        self._due = 0.0
        self.started = self.rounds = 0
        name = f"{number:016x}"
        clock = SystemClock()
        client = client_of(Settings(cache_driver=Driver.REDIS, redis_addr=order.address))
        client.connection_pool.connection_kwargs["socket_timeout"] = STEP_S
        self.shared = RedisShared(
            client=client,
            incarnation=name,
            clock=clock,
            pace=Pace(step_s=STEP_S, gone_s=GONE_S, gap_s=GONE_S),
        )
        self.syncer = Syncer(
            shared=self.shared,
            sources=Sources(
                counters=lambda since: self._changes.counters(incarnation=name, since=since),
                account=self._states.get,
                roster=lambda: self._states,
                waiting=lambda: 0,
                spent=self._spent,
                presence=lambda: Presence(host=f"host-{number}", pid=number),
                bindings=lambda _most: [],
            ),
            receivers=_deaf(),
            clock=clock,
            rng=self._rng,
            processes_expected=lambda: order.processes,
        )

    def tick(self, now: float) -> None:
        """End the streams that are over, and begin as many as there should be."""
        while self._ends and self._ends[0][0] <= now:
            _, state = self._ends.popleft()
            state.in_flight -= 1
            state.tokens += self._rng.randrange(5_000)
            self._changes.touch(state)
        self._due += self._order.streams / self._order.stream_s * TICK_S
        while self._due >= 1 and len(self._ends) < self._order.streams:
            self._due -= 1
            self._begin(now)

    def fill(self, now: float) -> None:
        """Begin all streams, at moments in the past that lie as they would."""
        for number in range(self._order.streams):
            self._begin(now - self._order.stream_s * (1 - number / self._order.streams))

    def _begin(self, at: float) -> None:
        state = self._rng.choice(self._all)
        state.in_flight += 1
        state.requests += 1
        self._changes.touch(state)
        self._ends.append((at + self._order.stream_s, state))
        self.started += 1

    def _spent(self) -> list[KeySpent]:
        # Asked once a round, so it counts them.
        self.rounds += 1
        return []


def _deaf() -> Receivers:
    return Receivers(
        limit=lambda *_: None,
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
        missed=lambda: None,
    )


async def main() -> None:
    """Do as ordered."""
    loop = asyncio.get_running_loop()
    order = msgspec.json.decode(await loop.run_in_executor(None, sys.stdin.readline), type=Order)
    members = [Member(order, order.first + each) for each in range(order.processes)]
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(each.syncer.run()) for each in members]
        running.append(group.create_task(_load(members)))
        await _settled(members)
        print("ready", flush=True)
        await loop.run_in_executor(None, sys.stdin.readline)
        before = [(each.rounds, each.started) for each in members]
        began, cpu = time.monotonic(), time.process_time()
        await loop.run_in_executor(None, sys.stdin.readline)
        done = Done(
            seconds=time.monotonic() - began,
            cpu_s=time.process_time() - cpu,
            rounds=sum(each.rounds for each in members) - sum(first for first, _ in before),
            started=sum(each.started for each in members) - sum(last for _, last in before),
            heard=min(each.shared.view().processes for each in members),
        )
        print(msgspec.json.encode(done).decode(), flush=True)
        for task in running:
            task.cancel()


async def _settled(members: list[Member]) -> None:
    for each in members:
        while not each.syncer.settled:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(TICK_S)


async def _load(members: list[Member]) -> None:
    for each in members:
        each.syncer.roster_changed()
        each.fill(time.monotonic())
    while True:
        now = time.monotonic()
        for each in members:
            each.tick(now)
        await asyncio.sleep(TICK_S)


if __name__ == "__main__":
    uvloop.run(main())
