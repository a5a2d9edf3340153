"""The page of `/metrics`: what this worker has counted, or all workers of the program together.

The sockets of all workers are one address, so whoever is asked answers for all. Each leaves its
counts in a folder about once a second, and also before it answers: whatever was on a page once is
known to the others, and the sum never falls, whoever is asked next and whoever has died since.
With one worker nothing is written. What is counted is read in the event loop, where it is counted;
everything else is done by one thread, in the order in which it was read.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, Protocol

from prometheus_client import ProcessCollector, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from app.errors import StateError
from app.telemetry.folder import Folder
from app.telemetry.page import Page, Place, family, metric, page, together

PERIOD_S: Final = 1.0
"""As much of its counting as a worker may take with it when it dies."""

logger = logging.getLogger(__name__)


class Source(Protocol):
    """Something that has metrics."""

    def families(self) -> Iterator[Metric]:
        """Yield them as they are now."""


class Exposition:
    """All metrics as one page of text. With a folder, `run` it and `close` it at the end.

    `own` are sources that are only asked at a scrape, since every worker knows the same. `place`
    tells how an account is called, see `app.telemetry.page`.
    """

    def __init__(
        self,
        *sources: Source,
        own: Sequence[Source] = (),
        folder: Folder | None = None,
        place: Place = str,
    ) -> None:
        self._sources = sources
        self._own = own
        self._folder = folder
        self._place = place
        self._process = ProcessCollector(registry=None)
        self._thread = ThreadPoolExecutor(1, "metrics")
        self._complained = False

    async def text(self) -> bytes:
        """Return the page in Prometheus' text format.

        Raises:
            StateError: What other workers have counted can't be read now.
        """
        shared, own = self._counted(), _families(self._own)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._answered, shared, own)

    async def run(self, *, sleep: Callable[[float], Awaitable[None]]) -> None:
        """Leave the counts for the others, and add up those who are gone, until cancelled."""
        while self._folder is not None:
            await self._leave_counts(self._folder)
            await sleep(PERIOD_S)

    async def close(self) -> None:
        """Leave the last counts; from here on this worker is gone for the others."""
        folder, self._folder = self._folder, None
        if folder is not None:
            await self._leave_counts(folder)
            folder.leave()
        self._thread.shutdown()

    async def _leave_counts(self, folder: Folder) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._kept, folder, self._counted())

    def _counted(self) -> list[Metric]:
        return [*_families(self._sources), *self._process.collect()]

    def _kept(self, folder: Folder, shared: list[Metric]) -> None:
        self._put(folder, page(shared))
        with suppress(OSError):  # the next turn will do
            for name in folder.retire(place=self._place):
                logger.info("a worker is gone, its totals are kept", extra={"worker": name})

    def _answered(self, shared: list[Metric], own: list[Metric]) -> bytes:
        folder = self._folder
        if folder is None:
            return generate_latest(_Given([*shared, *own]))
        self._put(folder, page(shared))
        try:
            others = folder.others()
        except OSError as error:
            raise StateError(f"Metrics of other workers can't be read: {error}.") from error
        mine = [family(each) for each in (*shared, *own)]
        parts = [mine, *(each.families for each in others)]
        all_of_them = together(parts, place=self._place)
        return generate_latest(_Given([metric(each) for each in all_of_them]))

    def _put(self, folder: Folder, mine: Page) -> None:
        """Leave the counts; a full disk is complained about once, and costs no page."""
        try:
            folder.put(mine)
        except OSError as error:
            if not self._complained:
                logger.warning("metrics can't be left for other workers: %s", error)
            self._complained = True
        else:
            self._complained = False


class _Given(Collector):
    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _families(sources: Iterable[Source]) -> list[Metric]:
    return [metric for source in sources for metric in source.families()]
