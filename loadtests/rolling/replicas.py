"""Two replicas on one Postgres and one Redis, behind a proxy, and what is done to them.

A replica is a gateway with processes of its own, as a pod or a container is. Whoever kills one
starts it again at once, as Kubernetes and Docker do.
"""

import asyncio
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Final

import httpx
from msgspec import Struct

from loadtests.crashes.__main__ import kill
from loadtests.rolling import proxies
from tests.e2e.programs import Gateway, Simulator, enrol, until
from tests.servers import shared_home

REPLICAS: Final = 2
ACCOUNTS: Final = 64
DRAIN_S: Final = 60
GRACE_S: Final = DRAIN_S + 30
"""As the deployment's formula has it: see docs/operate/drain.md."""
NOTICED_S: Final = 2.0
"""Between a replica that is ready again and the next restart: the proxy has to notice it."""
APART_S: Final = (6.0, 9.0)
"""Between two kills: a worker that dies twice within 5.5 s ends its server, and rightly so."""


class Stand(Struct):
    """What was started."""

    database_url: str
    simulator: Simulator
    gateways: list[Gateway]
    port: int
    """The proxy's."""


class Restart(Struct, frozen=True):
    """How one went."""

    status: int
    exit_s: float
    ready_s: float


class Kill(Struct, frozen=True):
    """What was killed, when, and how long it took until all was there again."""

    replica: int
    whole: bool
    """The whole process, not one of its workers."""
    at: float
    back_s: float


@contextmanager
def standing(folder: Path, *, proxy: str, workers: int) -> Iterator[Stand]:
    """Start everything; it ends with the block."""
    with ExitStack() as stack:
        (folder / proxy).mkdir()
        shared = stack.enter_context(shared_home(folder))
        simulator = Simulator(folder, accounts=ACCOUNTS)
        stack.callback(simulator.stop)
        gateways = []
        for number in range(REPLICAS):
            place = folder / f"replica-{number}"
            place.mkdir()
            gateway = Gateway(
                place,
                simulator,
                limits=None,
                CODEX_WORKERS=str(workers),
                CODEX_DRAIN_TIMEOUT=str(DRAIN_S),
                **shared,
            )
            stack.callback(gateway.stop)
            gateways.append(gateway)
        enrol(gateways[0], simulator)
        for gateway in gateways:
            gateway.start()
        replicas = [gateway.port for gateway in gateways]
        with proxies.running(proxy, folder / proxy, replicas=replicas) as port:
            yield Stand(shared["DATABASE_URL"], simulator, gateways, port)


async def restart(gateway: Gateway) -> Restart:
    """Stop a replica as a deployment does, and start it again."""
    began = time.monotonic()
    gateway.signal(signal.SIGTERM)
    status = await asyncio.to_thread(gateway.wait, within_s=GRACE_S)
    ended = time.monotonic()
    await asyncio.to_thread(gateway.start)
    ready = time.monotonic()
    await asyncio.sleep(NOTICED_S)
    return Restart(status, ended - began, ready - ended)


async def kill_one(gateways: Sequence[Gateway], *, rng: Random) -> Kill:
    """Kill a worker or a whole replica, and wait until everything is there again."""
    gateway, whole = rng.choice(gateways), rng.random() < 0.5
    began = time.monotonic()
    if whole:
        await asyncio.to_thread(kill, gateway)
        await asyncio.to_thread(gateway.start)
    else:
        before = workers(gateway)
        places = _places(gateway)
        with suppress(ProcessLookupError):
            os.kill(rng.choice(before), signal.SIGKILL)
        await asyncio.to_thread(until, lambda: _places(gateway) - places, "a new worker has come")
        await asyncio.to_thread(until, lambda: _all_ready(gateway), "all workers are ready")
    back_s = time.monotonic() - began
    await asyncio.sleep(rng.uniform(*APART_S))
    return Kill(gateway.port, whole, began, back_s)


def workers(gateway: Gateway) -> list[int]:
    """Return the processes of a gateway's workers."""
    pid = gateway.process.pid if gateway.process is not None else 0
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _places(gateway: Gateway) -> set[Path]:
    """Return what workers have made to take part in the metrics, once they were open."""
    folder = Path(gateway.environment["CODEX_DATA_DIR"]) / "run" / "metrics"
    return set(folder.glob("*/*/lock"))


def _all_ready(gateway: Gateway) -> bool:
    """Ask so often that nobody who listens is left out."""
    try:
        return all(gateway.client.get("/ready").status_code == 200 for _ in range(8))
    except httpx.TransportError:
        return False
