"""Postgres goes away under load: frozen at first, then killed; and then it comes back.

Two gateways are asked the same at the same time, each with a Postgres and a simulator of its own;
only one of them loses its server. What is measured is how the calls of the two compare, how keys
are judged meanwhile, and whether everything that happened is in the database afterwards.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from typing import Final

import click
import httpx
from msgspec import Struct

from loadtests import callers
from loadtests.audit import books
from loadtests.audit.evidence import Evidence
from loadtests.audit.invariants import Report, examine
from loadtests.callers import Callers
from loadtests.outages.verdict import Pace, Window, failures, misjudged, pace
from tests.e2e.programs import API_KEY, Gateway, Simulator, enrol, until
from tests.servers import PostgresServer

CALLERS: Final = 3
ACCOUNTS: Final = 4
PAUSE_S: Final = 0.2
EVENLY: Final = callers.Pace(deltas=(10, 10), events_per_s=(100, 100))
BEFORE_S: Final = 3.0
NOTICED_S: Final = 6.0
"""After so long every key that is not known is one that can't be judged."""
BACK_S: Final = 60.0
WRONG: Final = "sk-c2a-nobody-has-this-key"


class Side(Struct):
    """A gateway with what belongs to it."""

    postgres: PostgresServer
    database_url: str
    simulator: Simulator
    gateway: Gateway
    callers: Callers


class Result(Struct, frozen=True):
    """What came of it; no faults is what is wanted, and a pace near that of the other side."""

    calls: int
    pace: Pace
    caught_up_s: float
    audit: Report
    judged: int
    faults: list[str]


@contextmanager
def side(folder: Path, name: str) -> Iterator[Side]:
    """Start everything that one gateway needs, and the gateway."""
    with ExitStack() as stack:
        place = folder / name
        (place / "postgres").mkdir(parents=True)
        postgres = PostgresServer(place / "postgres")
        stack.callback(postgres.stop)
        postgres.start()
        url = postgres.database()
        simulator = Simulator(place, accounts=ACCOUNTS)
        stack.callback(simulator.stop)
        gateway = Gateway(
            place,
            simulator,
            DATABASE_DRIVER="postgres",
            DATABASE_URL=url,
            CODEX_SECRET_KEY="0" * 64,
        )
        stack.callback(gateway.stop)
        enrol(gateway, simulator)
        gateway.start()
        asking = Callers(gateway.url, key=API_KEY, name=name, rng=Random(1), pace=EVENLY)
        yield Side(postgres, url, simulator, gateway, asking)


class Keys:
    """Tries keys over and over, and notes what they get."""

    def __init__(self, url: str, keys: dict[str, str]) -> None:
        self.statuses: list[tuple[float, str, int]] = []
        self._url = url
        self._keys = keys

    async def run(self) -> None:
        """Go on until cancelled."""
        async with httpx.AsyncClient(base_url=self._url, timeout=30.0) as client:
            while True:
                for kind, key in self._keys.items():
                    headers = {"authorization": f"Bearer {key}"}
                    answer = await client.get("/v1/models", headers=headers)
                    self.statuses.append((time.monotonic(), kind, answer.status_code))
                await asyncio.sleep(0.25)

    def within(self, window: Window) -> list[tuple[str, int]]:
        """Return what keys got in that time."""
        return [
            (kind, status)
            for at, kind, status in self.statuses
            if window.since <= at < window.until
        ]


async def wait(seconds: float, label: str) -> None:
    """Let time pass, and show that it does."""
    with click.progressbar(length=max(1, round(seconds)), label=label) as shown:
        ends_at = time.monotonic() + seconds
        while (left := ends_at - time.monotonic()) > 0:
            await asyncio.sleep(min(1.0, left))
            shown.update(1)


async def outage(subject: Side, control: Side, keys: Keys, *, seconds: float) -> Window:
    """Take the subject's Postgres away for so long, while both are asked; return when that was."""
    async with asyncio.TaskGroup() as group:
        asking = [
            group.create_task(work)
            for work in (
                subject.callers.run(CALLERS, pause_s=PAUSE_S),
                control.callers.run(CALLERS, pause_s=PAUSE_S),
                keys.run(),
            )
        ]
        await wait(BEFORE_S, "before")
        window = Window(time.monotonic(), time.monotonic() + seconds)
        subject.postgres.freeze()
        await wait(seconds / 2, "frozen")
        subject.postgres.thaw()
        subject.postgres.kill()
        await wait(window.until - time.monotonic(), "killed")
        await asyncio.to_thread(subject.postgres.start)
        await wait(BEFORE_S, "back")
        for task in asking:
            task.cancel()
    return window


def caught_up(gateway: Gateway) -> float:
    """Wait until the journal has been moved; return how long that took."""
    began = time.monotonic()
    until(
        lambda: gateway.metrics()["codex2api_journal_depth"] == 0,
        "the journal is in the database",
        within_s=BACK_S,
    )
    return time.monotonic() - began


def run(folder: Path, *, seconds: float) -> Result:
    """Do it all in a folder, and return what was found."""
    with side(folder, "subject") as subject, side(folder, "control") as control:
        late = subject.gateway.command("keys", "create", "--name", "late")["key"]
        keys = Keys(subject.gateway.url, {"known": API_KEY, "wrong": WRONG, "late": late})
        window = asyncio.run(outage(subject, control, keys, seconds=seconds))
        taken_s = caught_up(subject.gateway)
        after = Window(time.monotonic(), time.monotonic() + 2.0)
        asyncio.run(_afterwards(keys))
        subject.simulator.quiet()
        found = examine(
            Evidence(
                seen=subject.callers.seen,
                ledger=subject.simulator.see("ledger"),
                books=asyncio.run(books.of_postgres(subject.database_url)),
                violations=subject.simulator.see("violations"),
                state=subject.simulator.see("state"),
                scrapes=[subject.gateway.metrics()],
            )
        )
    noticed = Window(window.since + NOTICED_S, window.until)
    away = keys.within(noticed)
    faults = failures(subject.callers.seen) + list(found.faults) + misjudged(away, away=True)
    faults += misjudged(keys.within(after), away=False)
    early = keys.within(Window(window.since, noticed.since))
    faults += [
        f"a wrong key got {status}" for kind, status in early if (kind, status) == ("wrong", 200)
    ]
    seen = window.of(subject.callers.seen)
    return Result(
        calls=len(seen),
        pace=pace(seen, window.of(control.callers.seen)),
        caught_up_s=taken_s,
        audit=found,
        judged=len(away),
        faults=faults,
    )


async def _afterwards(keys: Keys) -> None:
    """Try the keys for a moment once the server is back."""
    task = asyncio.create_task(keys.run())
    await asyncio.sleep(2.0)
    task.cancel()
