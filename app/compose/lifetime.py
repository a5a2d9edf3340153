"""Opens a gateway and closes it: outermost resource first, and in reverse.

Background work runs in one task group that ends with the gateway; what fails in it is logged and
started again.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from random import Random
from typing import Final

from app.accounts.enrolment import whose
from app.compose import measuring
from app.compose.admin import Administration
from app.compose.gateway import Gateway
from app.domain.account import Secret
from app.settings import Settings
from app.store.store import Store
from app.telemetry.watchdog import Watchdog, end_process
from app.upstream.http import HttpClient

logger = logging.getLogger(__name__)

RESTART_FIRST_S: Final = 0.5
RESTART_MAX_S: Final = 30.0
CANCEL_AGAIN_S: Final = 1.0


@asynccontextmanager
async def gateway(settings: Settings) -> AsyncIterator[Gateway]:
    """Open a gateway: its store, its accounts, its background tasks.

    Nothing is dialled and nothing is renewed before this returns.

    Raises:
        StateError: The store or the journal can't be opened.
    """
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(Store.open(settings, whose=whose))
        proxy_url = Secret(settings.proxy_url) if settings.proxy_url else None
        client = await stack.enter_async_context(
            HttpClient(proxy_url=proxy_url, ca_file=settings.ca_file)
        )
        opened = Gateway(settings, store, client)
        if opened.traces is not None:
            stack.push_async_callback(asyncio.to_thread, opened.traces.close)
        stack.push_async_callback(opened.sharing.close)
        wanted = [Secret(key) for key in settings.api_keys]
        if wanted:
            await store.keys.ensure(wanted, name="environment", at=opened.clock.now())
        await stack.enter_async_context(opened.books.open())
        await opened.reload()
        administration = Administration(opened)
        await administration.open()
        opened.admin_parts, opened.admin_gate = administration.parts, administration.gate
        place = await asyncio.to_thread(measuring.folder, settings, opened.books.incarnation)
        opened.exposition = measuring.exposition(opened, place)
        stack.push_async_callback(opened.exposition.close)
        await opened.sharing.count()
        # After the tasks below: what still runs at the end may need a socket once more.
        await stack.enter_async_context(opened.codex.sockets)
        group = await stack.enter_async_context(asyncio.TaskGroup())
        tasks = [
            group.create_task(supervised(work, opened.rng))
            for work in _background(opened, administration)
        ]
        watchdog = Watchdog(
            beats=lambda: opened.heartbeat.beats,
            monotonic=opened.clock.monotonic,
            stall_s=settings.limits.loop_stall_s,
            end=end_process,
        )
        watchdog.start()
        try:
            yield opened
        finally:
            watchdog.stop()
            await ended(tasks)


def _background(
    opened: Gateway, administration: Administration
) -> list[Callable[[], Awaitable[None]]]:
    """Return what goes on for as long as the gateway is open."""
    return [
        opened.renewer.run,
        opened.refusals.run,
        opened.manifests.run,
        opened.listings.run,
        opened.probes.run,
        opened.follow,
        opened.books.sync,
        opened.books.move,
        opened.books.tidy,
        opened.heartbeat.run,
        administration.live.run,
        administration.answer,
        opened.codex.sockets.run,
        opened.sharing.run,
        opened.sharing.follow,
        opened.sharing.recount,
        opened.remembering.run,
        partial(opened.exposition.run, sleep=asyncio.sleep),
    ]


async def ended(tasks: Collection[asyncio.Task[None]]) -> None:
    """Cancel background work until it has ended.

    A cancellation may get lost: libraries turn one that meets a timeout or an answer into either.
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_S)


async def supervised(work: Callable[[], Awaitable[None]], rng: Random) -> None:
    """Keep background work going: log what it failed with and start it again, ever later."""
    wait_s = RESTART_FIRST_S
    while True:
        try:
            await work()
        except Exception:
            logger.exception("background work failed; starting it again")
            await asyncio.sleep(wait_s * (0.5 + rng.random()))
            wait_s = min(wait_s * 2, RESTART_MAX_S)
        else:
            return
