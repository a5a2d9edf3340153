"""Redis goes wrong under load in every way it can; calls must not notice.

One gateway of two workers is asked all the time. Stretches without a fault and stretches with one
take turns, so that whatever else the machine does weighs on both alike. After each fault the load
rests for a moment: by then the sums in Redis must be those of the simulator again.

    down at start   nobody listens while the workers start
    frozen          it accepts and answers nothing (SIGSTOP)
    slow            every answer takes 500 ms
    reset           connections are cut, and those who dial are too
    flushed         it forgets everything, twice
    restarted       it is killed, and comes back empty a second later
    killed          it is killed, and comes back when the stretch is over
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from random import Random
from typing import Final

import click
import httpx
import redis
from msgspec import Struct

from app.clock import SystemClock
from app.domain.account import AccountId
from app.domain.shared import Snapshot
from app.ports import SharedUnavailable
from app.settings import Driver, Settings
from app.shared.breaker import PAUSE_S
from app.shared.client import client_of
from app.shared.redis import Pace as Steps
from app.shared.redis import RedisShared
from app.shared.sync import INTERVAL_S
from loadtests import callers
from loadtests.callers import Callers, Seen
from loadtests.chaos import Chaos, chaos
from loadtests.outages.verdict import failures, percentile
from tests.e2e.programs import API_KEY, Gateway, Simulator, enrol, until
from tests.servers import PostgresServer, RedisServer

CALLERS: Final = 6
ACCOUNTS: Final = 8
WORKERS: Final = 2
PAUSE_S_BETWEEN: Final = 0.1
EVENLY: Final = callers.Pace(deltas=(10, 10), events_per_s=(100, 100))
WARM_S: Final = 3.0
CONVERGED_S: Final = 2 * INTERVAL_S
NOTICED_S: Final = 2 * PAUSE_S
"""Until a worker finds that the server is back: the breaker asks once a second."""
LOOK_S: Final = 0.02
PATIENCE_S: Final = 15.0


class Stretch(Struct):
    """Some seconds of load."""

    fault: str
    seen: list[Seen]
    converged_s: float | None = None
    """After the fault, how long until the sums were right; None if there was no fault."""


class Result(Struct, frozen=True):
    """What came of it: nothing in `faults` is what is wanted."""

    stretches: list[Stretch]
    faults: list[str]

    def calls(self, fault: str | None) -> list[Seen]:
        """Return the calls of one fault; of all faults for None."""
        return [
            seen
            for stretch in self.stretches
            for seen in stretch.seen
            if (stretch.fault == fault if fault is not None else stretch.fault)
        ]

    def p99_s(self, fault: str | None) -> float:
        """Return the 99th percentile of how long they took."""
        return percentile([each.seconds for each in self.calls(fault)], 0.99)

    @property
    def ratio(self) -> float:
        """How many times longer the slowest hundredth took with a fault than without."""
        return self.p99_s(None) / (self.p99_s("") or float("inf"))


class Scene(Struct):
    """Everything that takes part."""

    server: RedisServer
    between: Chaos
    gateway: Gateway
    simulator: Simulator
    asking: Callers
    accounts: list[AccountId]


Act = Callable[[Scene], Awaitable[None]]


async def _freeze(scene: Scene) -> None:
    scene.server.freeze()


async def _thaw(scene: Scene) -> None:
    scene.server.thaw()


async def _slow(scene: Scene) -> None:
    scene.between.latency_s = 0.5


async def _reset(scene: Scene) -> None:
    scene.between.refuse = True
    scene.between.reset()


async def _calm(scene: Scene) -> None:
    scene.between.calm()


async def _flush(scene: Scene) -> None:
    await asyncio.to_thread(_flushall, scene.server.port)


def _flushall(port: int) -> None:
    with redis.Redis(port=port) as client:
        client.flushall()
        client.script_flush()


async def _kill(scene: Scene) -> None:
    scene.server.kill()


async def _start(scene: Scene) -> None:
    await asyncio.to_thread(scene.server.start)


async def _restart(scene: Scene) -> None:
    scene.server.kill()
    await asyncio.sleep(1.0)
    await asyncio.to_thread(scene.server.start)


FAULTS: Final[dict[str, tuple[Act, Act]]] = {
    "frozen": (_freeze, _thaw),
    "slow": (_slow, _calm),
    "reset": (_reset, _calm),
    "flushed": (_flush, _flush),
    "restarted": (_restart, _calm),
    "killed": (_kill, _start),
}
"""What is done at the beginning of a stretch, and at its end."""


async def ask(scene: Scene, seconds: float) -> list[Seen]:
    """Ask for so long; return the calls, each heard to its end."""
    ends_at = time.monotonic() + seconds
    begun = len(scene.asking.seen)

    async def one() -> None:
        limits = httpx.Limits(max_keepalive_connections=1)
        async with httpx.AsyncClient(timeout=callers.TIMEOUT_S, limits=limits) as client:
            while time.monotonic() < ends_at:
                await scene.asking.ask(client)
                await asyncio.sleep(PAUSE_S_BETWEEN)

    async with asyncio.TaskGroup() as group:
        for _ in range(CALLERS):
            group.create_task(one())
    return scene.asking.seen[begun:]


async def converged(scene: Scene) -> float:
    """Return how long it takes until the sums in Redis are the simulator's; infinite for never."""
    began = time.monotonic()
    settings = Settings(cache_driver=Driver.REDIS, redis_addr=f"127.0.0.1:{scene.server.port}")
    observer = RedisShared(
        client=client_of(settings),
        incarnation=f"observer-{began}",
        clock=SystemClock(),
        pace=Steps(step_s=5.0),
    )
    try:
        await asyncio.to_thread(scene.simulator.quiet)
        done = [
            record
            for record in await asyncio.to_thread(scene.simulator.see, "ledger")
            if record["path"].endswith("/responses")
        ]
        counted, under_way = 0, list[int]()
        while time.monotonic() - began < PATIENCE_S:
            try:
                await observer.publish(Snapshot())
            except SharedUnavailable:
                await asyncio.sleep(LOOK_S)
                continue
            rows = [observer.view().account(account_id) for account_id in scene.accounts]
            counted, under_way = sum(row.requests for row in rows), [row.in_flight for row in rows]
            if counted == len(done) and not any(under_way):
                return time.monotonic() - began
            await asyncio.sleep(LOOK_S)
        click.echo(f"\n  {counted} calls in Redis, {len(done)} asked; under way: {under_way}")
        return float("inf")
    finally:
        await observer.leave()
        await observer.close()


@asynccontextmanager
async def scene(folder: Path) -> AsyncIterator[Scene]:
    """Start everything; Redis is down while the workers start, and stays so."""
    with ExitStack() as stack:
        for name in ("postgres", "redis"):
            (folder / name).mkdir()
        postgres = PostgresServer(folder / "postgres")
        stack.callback(postgres.stop)
        await asyncio.to_thread(postgres.start)
        database = await asyncio.to_thread(postgres.database)
        server = RedisServer(folder / "redis")
        stack.callback(server.stop)
        simulator = Simulator(folder, accounts=ACCOUNTS)
        stack.callback(simulator.stop)
        async with chaos(server.port) as between:
            gateway = Gateway(
                folder,
                simulator,
                CODEX_WORKERS=str(WORKERS),
                DATABASE_DRIVER="postgres",
                DATABASE_URL=database,
                CODEX_SECRET_KEY="0" * 64,
                CACHE_DRIVER="redis",
                REDIS_ADDR=f"127.0.0.1:{between.port}",
            )
            stack.callback(gateway.stop)
            await asyncio.to_thread(enrol, gateway, simulator)
            await asyncio.to_thread(gateway.start)
            listed = await asyncio.to_thread(gateway.command, "accounts", "list")
            found = listed["accounts"] if isinstance(listed, dict) else listed
            asking = Callers(gateway.url, key=API_KEY, name="redis", rng=Random(1), pace=EVENLY)
            accounts = [AccountId(each["id"]) for each in found]
            yield Scene(server, between, gateway, simulator, asking, accounts)
            await asyncio.to_thread(gateway.stop)


async def run(folder: Path, *, seconds: float, rounds: int) -> Result:
    """Do it all in a folder: `rounds` times each fault, in stretches of so many seconds."""
    stretches, faults = [], []
    async with scene(folder) as on:
        plan = [name for _ in range(rounds) for name in FAULTS]
        with click.progressbar(length=1 + len(plan), label="faults of Redis") as shown:
            await ask(on, WARM_S)
            stretches.append(Stretch("down at start", await ask(on, seconds)))
            await _start(on)
            stretches[-1].converged_s = await converged(on)
            shown.update(1)
            for name in plan:
                stretches.append(Stretch("", await ask(on, seconds)))
                begin, end = FAULTS[name]
                asked = asyncio.ensure_future(ask(on, seconds))
                await begin(on)
                seen = await asked
                await end(on)
                stretches.append(Stretch(name, seen, await converged(on)))
                shown.update(1)
        faults += failures(on.asking.seen)
        most = dict.fromkeys((*FAULTS, "down at start"), NOTICED_S + CONVERGED_S)
        # Nothing has to be noticed there: the server was never away.
        most["flushed"] = CONVERGED_S
        faults += [
            f"{each.fault}: the sums were right only after {each.converged_s:.2f} s"
            for each in stretches
            if each.converged_s is not None and each.converged_s > most[each.fault]
        ]
        await asyncio.to_thread(
            until, lambda: on.gateway.metrics()["codex2api_shared_up"], "all workers say it is back"
        )
    return Result(stretches, faults)


def lines(found: Result) -> list[str]:
    """Return what people are told of it."""
    quiet = found.calls("")
    told = [f"{'no fault':14} {len(quiet):5} calls, p99 {found.p99_s('') * 1e3:4.0f} ms"]
    for name in dict.fromkeys(each.fault for each in found.stretches if each.fault):
        times = [each.converged_s for each in found.stretches if each.fault == name]
        worst = max(each for each in times if each is not None)
        p99_s = found.p99_s(name)
        told.append(
            f"{name:14} {len(found.calls(name)):5} calls, p99 {p99_s * 1e3:4.0f} ms"
            f" ({p99_s / (found.p99_s('') or 1):.2f}x), sums right {worst:.2f} s after it"
        )
    told.append(f"{'all faults':14} p99 {found.ratio:.2f}x that of no fault")
    return told
