"""Tests of app.compose.explaining: two processes with a real Redis between them."""

import asyncio
from types import MappingProxyType

from app.clock import SystemClock
from app.compose.explaining import CHANNEL, Elsewhere
from app.domain.runtime import Explain
from app.pool.explanation import Explanations
from app.pool.policy import Policy
from app.settings import Driver, Settings
from app.shared.client import client_of
from tests.fakes.accounts import call


class Pool:
    """A pool without accounts."""

    states = ()
    policy = Policy()
    families = MappingProxyType({})


async def test_what_another_process_explained_is_found(redis_server) -> None:
    """By the call, and among the latest."""
    settings = Settings(cache_driver=Driver.REDIS, redis_addr=redis_server.url)
    client, clock = client_of(settings), SystemClock()
    mine, theirs = Explanations(mode=Explain.ALL), Explanations(mode=Explain.ALL)
    here, there = (
        Elsewhere(client, installation="x", explanations=each, clock=clock)
        for each in (mine, theirs)
    )
    for number in range(3):
        asked = call(id=f"req-{number}")
        theirs.refused(Pool(), asked, excluding=frozenset(), code="pool_empty", now=number)

    channel = CHANNEL.format("x")

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each.run()) for each in (here, there)]
        async with asyncio.timeout(10):
            while (await client.pubsub_numsub(channel)) != [(channel.encode(), 2)]:  # noqa: ASYNC110 - Redis has no word for it
                await asyncio.sleep(0.01)
        assert list(await here.find("req-1")) == list(theirs.find("req-1"))
        assert await here.find("req-9") == []
        assert [each.call_id for each in await here.recent(2)] == ["req-2", "req-1"]
        assert await there.recent(2) == []
        for task in tasks:
            task.cancel()
    await client.aclose()
