"""A day of sockets in virtual time: nothing grows, nothing is left, nobody gets too old."""

import asyncio
from collections import Counter
from random import Random

import msgspec
import pytest

from app.domain.account import AccountId
from app.domain.caller import KeyId
from app.ports import UpstreamFailure
from app.upstream.sockets.connection import Rejected, Target
from app.upstream.sockets.life import AGE_S_MAX, IDLE_S
from app.upstream.sockets.pool import LOOK_EVERY_S, Bounds, NoSocket, SocketPool
from tests.fakes.accounts import account, call
from tests.fakes.connection import FakeConnection, completed, created, delta, event
from tests.fakes.virtual import LoopClock
from tests.simulation.loop import SimulationLoop

DAY_S = 86_400.0
HOUR_S = 3_600.0
CALLERS = 10
ACCOUNTS = "abcd"
OUTLIVED = event("error", status=400, error={"code": "websocket_connection_limit_reached"})


class Backend:
    """Answers after a while, and sometimes does what backends do."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.open: dict[FakeConnection, float] = {}
        self.ends: Counter[str] = Counter()
        self.oldest_s = 0.0
        self.peak = 0

    async def dial(self, _: Target) -> FakeConnection:
        """Open a connection, or refuse to."""
        await asyncio.sleep(self.rng.random())
        if self.rng.random() < 0.002:
            raise Rejected(self.rng.choice((426, 429, 502)), [], b"")
        connection = FakeConnection()
        connection.pongs = self.rng.random() < 0.98
        connection.on_sent = self._asked
        ends = connection.abort

        def abort() -> None:
            self.open.pop(connection, None)
            ends()

        connection.abort = abort
        self.open[connection] = asyncio.get_running_loop().time()
        self.peak = max(self.peak, len(self.open))
        return connection

    def _asked(self, connection: FakeConnection, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        age_s = loop.time() - self.open[connection]
        self.oldest_s = max(self.oldest_s, age_s)
        tag = msgspec.json.decode(data)["tag"]
        drawn = self.rng.random()
        at = self.rng.random() * 3
        loop.call_later(at, connection.hear, created(tag))
        if drawn < 0.02:
            loop.call_later(at + 1, connection.lose, self.rng.choice((1000, 1006, 1011, 1012)))
            return
        if drawn < 0.03:
            loop.call_later(at + 1, connection.hear, OUTLIVED)
            return
        if drawn < 0.035:
            return  # silence: the caller leaves some day
        loop.call_later(at + 1, connection.hear, delta(tag))
        loop.call_later(at + 2, connection.hear, completed(tag))
        if drawn < 0.045:
            loop.call_later(at + 2.5, connection.hear, delta(tag))


async def turn(pool: SocketPool, backend: Backend, tag: str, caller: str, generation: int) -> None:
    """Make a turn; leave it in the middle sometimes."""
    rng = backend.rng
    # As with any pool that keeps sessions where they are: mostly the same account.
    name = ACCOUNTS[len(caller) % 4] if rng.random() < 0.9 else rng.choice(ACCOUNTS)
    of = account(name, generation=generation)
    asked = call(caller_id=KeyId(caller), body=msgspec.json.encode({"tag": tag}))
    reply = None
    try:
        async with asyncio.timeout(1.5 if rng.random() < 0.05 else 120.0):
            reply = await pool.send(of, asked, [])
            while reply.messages:
                data = await reply.read()
                if b"delta" in data:
                    assert tag.encode() in data
                if b"completed" in data:
                    break
            await reply.finish()
        backend.ends["whole"] += 1
    except (UpstreamFailure, NoSocket, TimeoutError) as error:
        backend.ends[type(error).__name__] += 1
    finally:
        if reply is not None:
            await reply.abort()


async def day(backend: Backend) -> tuple[SocketPool, list[int]]:
    """Play a day, then let it be quiet for as long as idle sockets live."""
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + DAY_S
    before = len(asyncio.all_tasks())
    entries: list[int] = []
    pool = SocketPool(
        url="ws://up.test",
        dial=backend.dial,
        clock=LoopClock(),
        rng=backend.rng,
        bounds=Bounds(total_max=36, account_max=12),
    )

    async def caller(name: str) -> None:
        number = 0
        while loop.time() < ends_at:
            # By day there is a turn a minute and more, by night hardly one in five.
            busy = 1.0 if (loop.time() % DAY_S) < 14 * HOUR_S else 0.2
            await asyncio.sleep(backend.rng.expovariate(busy / 60.0))
            generation = int(loop.time() // (6 * HOUR_S))
            await turn(pool, backend, f"{name}-{number}", name, generation)
            number += 1

    async with pool:
        looking = loop.create_task(pool.run())
        async with asyncio.TaskGroup() as group:
            for number in range(CALLERS):
                group.create_task(caller("c" * (number + 1)))
            for _ in range(24):
                await asyncio.sleep(HOUR_S)
                entries.append(pool.entries)
                pool.keep({AccountId(a): int(loop.time() // (6 * HOUR_S)) for a in ACCOUNTS})
        await asyncio.sleep(IDLE_S + 2 * LOOK_EVERY_S)
        assert pool.states() == {"idle": 0, "busy": 0}
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        assert pool.entries == len(pool.detours)
        assert not backend.open
        assert len(asyncio.all_tasks()) == before
    return pool, entries


@pytest.mark.parametrize("seed", [1, 2])
def test_after_a_day_everything_is_as_before(seed):
    """Sockets, tasks and tables; and meanwhile they stay within their bounds."""
    loop = SimulationLoop(Random(seed))
    backend = Backend(Random(seed + 100))
    pool, entries = loop.play(day(backend))
    assert not loop.complaints
    assert backend.ends["whole"] > 5_000
    assert pool.turns["reused"] > pool.turns["fresh"]
    assert backend.oldest_s < AGE_S_MAX
    assert backend.peak <= 36
    assert max(entries) <= 36 * 5 + len(ACCOUNTS)
    # Everything that can end a socket has ended one.
    assert {"idle", "age", "lost", "stray", "abandoned", "silent", "credential"} <= {*pool.cleanups}
