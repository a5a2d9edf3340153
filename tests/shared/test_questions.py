"""Tests of app.shared.questions, over a real Redis."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from redis.asyncio import Redis

from app.clock import SystemClock
from app.settings import Driver, Settings
from app.shared.client import client_of
from app.shared.questions import ANSWER_BYTES_MAX, Questions

CHANNEL = "c2a:test"
Join = Callable[[Callable[[bytes], bytes]], Questions]


@pytest.fixture
async def client(redis_server) -> AsyncIterator[Redis]:
    """A client of a server that runs."""
    found = client_of(Settings(cache_driver=Driver.REDIS, redis_addr=redis_server.url))
    yield found
    await found.aclose()


@pytest.fixture
async def join(client: Redis) -> AsyncIterator[Join]:
    """Makes one more process that can be asked."""
    async with asyncio.TaskGroup() as group:
        tasks = []

        def joined(answer: Callable[[bytes], bytes]) -> Questions:
            one = Questions(client, channel=CHANNEL, answer=answer, clock=SystemClock())
            tasks.append(group.create_task(one.run()))
            return one

        yield joined
        for task in tasks:
            task.cancel()


async def listening(client: Redis, count: int) -> None:
    """Wait until so many listen."""
    async with asyncio.timeout(10):
        while await client.pubsub_numsub(CHANNEL) != [(CHANNEL.encode(), count)]:  # noqa: ASYNC110 - Redis has no word for it
            await asyncio.sleep(0.01)


async def test_everybody_else_is_asked(client: Redis, join: Join) -> None:
    """Whoever asks knows himself what he knows; who knows nothing is not heard."""
    asker = join(lambda _: b"my own")
    join(lambda data: b"one: " + data)
    join(lambda data: b"two: " + data)
    join(lambda _: b"")
    await listening(client, 4)
    assert sorted(await asker.ask(b"why")) == [b"one: why", b"two: why"]


async def test_nobody_is_waited_for_where_nobody_is(client: Redis, join: Join) -> None:
    """Alone there is no answer."""
    asker = join(lambda _: b"my own")
    await listening(client, 1)
    assert await asker.ask(b"why") == []


async def test_an_answer_that_is_too_long_is_left_out(client: Redis, join: Join) -> None:
    """The others count."""
    asker = join(lambda _: b"")
    join(lambda _: b"x" * (ANSWER_BYTES_MAX + 1))
    join(lambda _: b"short")
    await listening(client, 3)
    assert await asker.ask(b"why") == [b"short"]


async def test_what_is_no_question_is_passed_over(client: Redis, join: Join) -> None:
    """The next one is answered."""
    asker = join(lambda _: b"")
    join(lambda _: b"still here")
    await listening(client, 2)
    await client.publish(CHANNEL, b"\xc1")
    assert await asker.ask(b"why") == [b"still here"]


async def test_a_server_that_is_away_has_no_answers() -> None:
    """It is not waited for long, and not asked again at once."""
    client = client_of(Settings(cache_driver=Driver.REDIS, redis_addr="127.0.0.1:1"))
    asker = Questions(client, channel=CHANNEL, answer=bytes, clock=SystemClock())
    assert await asker.ask(b"why") == []
    assert await asker.ask(b"why") == []
    await client.aclose()
