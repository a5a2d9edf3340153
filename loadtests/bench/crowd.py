"""Memory of a stream where thousands are held by two workers, over Postgres and Redis.

As `held`, but for the gateway alone: its workers share a port, the pool's counts go through Redis,
and both servers are started for the run, on the loader's core. Without their programs it is said
that nothing was measured.
"""

import asyncio
from contextlib import ExitStack
from typing import Final

import msgspec

from loadtests.bench import gateway, held, upstream
from loadtests.bench.rig import Rig
from tests.servers import program, shared_home

NAME: Final = "crowd"
WORKERS: Final = 2
ACCOUNTS: Final = 200
"""At 32 calls at a time for each, enough for 6,400 streams."""
SERVERS: Final = {"postgres": "PostgreSQL", "redis-server": "Redis"}


async def run(rig: Rig) -> None:
    """Hold the plan's crowd open through a gateway of two workers."""
    lane = next((lane for lane in rig.lanes if lane.program == "gateway"), None)
    if lane is None:
        return
    if lacking := missing():
        print(f"{NAME}: not measured, {' and '.join(lacking)} not installed")
        return
    folder = rig.folder / NAME
    folder.mkdir()
    with ExitStack() as stack:
        # It waits on an event loop of its own.
        settings = await asyncio.to_thread(stack.enter_context, shared_home(folder))
        started = upstream.running(rig.kind, folder, core=rig.cores.load, accounts=ACCOUNTS)
        asked = stack.enter_context(started)
        environment = gateway.prepare(asked, folder, **settings, CODEX_WORKERS=str(WORKERS))
        running = gateway.running(environment, folder, core=rig.cores.program)
        ready = stack.enter_context(running)
        crowded = msgspec.structs.replace(lane, process=ready.program, port=ready.port)
        await held.warm(crowded, asked, count=held.WARMING * WORKERS)
        await held.hold(rig, crowded, asked, name=NAME, count=rig.plan.crowd)


def missing() -> list[str]:
    """Return which of the servers are not installed."""
    return [name for command, name in SERVERS.items() if program(command) is None]
