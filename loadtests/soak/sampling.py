"""Looks from time to time at what a gateway's processes take of the machine."""

import asyncio
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import httpx

from loadtests.audit.evidence import Sample, Scrape
from loadtests.bench.processes import CPUCLOCK_SCHED
from loadtests.crashes.__main__ import family

EVERY_S: Final = 10.0
SCRAPED_EVERY: Final = 6
"""One scrape of so many is kept whole."""
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


class Sampler:
    """Samples one gateway; `samples` and `scrapes` grow while `run` runs."""

    def __init__(self, url: str, key: str, main: int, tasks: Path) -> None:
        self.samples: list[Sample] = []
        self.scrapes: list[Scrape] = []
        self._url = url
        self._key = key
        self._main = main
        self._tasks = tasks
        self._began = time.monotonic()

    async def run(self) -> None:
        """Sample until cancelled."""
        async with httpx.AsyncClient(timeout=30.0) as client:
            while True:
                self.samples.append(await self.look(client))
                await asyncio.sleep(EVERY_S)

    async def look(self, client: httpx.AsyncClient) -> Sample:
        """Take one sample."""
        headers = {"authorization": f"Bearer {self._key}"}
        answer = await client.get(f"{self._url}/metrics", headers=headers)
        scrape = samples_of(answer.raise_for_status().text)
        if len(self.samples) % SCRAPED_EVERY == 0:
            self.scrapes.append(scrape)
        pids = family(self._main)
        return Sample(
            at_s=time.monotonic() - self._began,
            rss_bytes=sum(map(_rss, pids)),
            files=sum(map(_files, pids)),
            tasks=_counted(self._tasks, pids),
            upstream_connections=int(_all(scrape, "codex2api_upstream_connections")),
            in_flight=int(scrape.get("codex2api_leases", 0.0)),
            cpu_s=sum(time.clock_gettime(~pid << 3 | CPUCLOCK_SCHED) for pid in pids),
            lag_s=scrape.get("codex2api_loop_lag_seconds", 0.0),
        )


def samples_of(page: str) -> Scrape:
    """Return all samples of a page of metrics, by name and labels as they are spelled there."""
    lines = (line for line in page.splitlines() if line and line[0] != "#")
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def _all(scrape: Scrape, name: str) -> float:
    return sum(value for key, value in scrape.items() if key.startswith(name))


def _rss(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * _PAGE


def _files(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def _counted(folder: Path, pids: Iterable[int]) -> int:
    files = [folder / str(pid) for pid in pids]
    return sum(int(file.read_text() or "0") for file in files if file.exists())
