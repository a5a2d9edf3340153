"""Whose an encrypted item is, asked of a real Redis."""

import asyncio

import pytest

from app.clock import SystemClock
from app.domain.account import AccountId
from app.domain.shared import Binding, Snapshot
from app.settings import Driver, Settings
from app.shared.client import client_of
from app.shared.owners import KEYS_MAX, PREFIX, Owners
from tests.shared.companies import RedisCompany, cut_connections

A = AccountId("a")
ITEM = Binding("k:item", A, 5.0, owned=True)
SESSION = Binding("k:session", A, 5.0, owned=False)


@pytest.fixture
async def owners(redis_server):
    """Who is asked; one process has told of an item and of a session."""
    company = RedisCompany(redis_server)
    one = company.join("one")
    await one.publish(Snapshot())
    await one.bind([ITEM, SESSION])
    client = client_of(Settings(cache_driver=Driver.REDIS, redis_addr=redis_server.url))
    yield Owners(client, clock=SystemClock())
    await client.aclose()
    await company.close()


async def test_an_item_is_found_by_whoever_did_not_hear_of_it(owners):
    """A session is not: it would do as well elsewhere. Both are forgotten with time."""
    assert await owners.find([SESSION.key, ITEM.key, "k:other"]) == [ITEM]
    assert await owners.find([]) == []
    assert 0 < await owners._client.pttl(PREFIX + ITEM.key) <= 7 * 86_400_000


async def test_only_the_latest_items_are_asked_for(owners):
    """The question is bounded."""
    many = [f"k:{number}" for number in range(KEYS_MAX)]
    assert await owners.find([*many, ITEM.key]) == []
    assert await owners.find([ITEM.key, *many]) == [ITEM]


async def test_what_cannot_be_read_is_not_known(owners):
    """Of a newer version, perhaps."""
    await owners._client.set(f"{PREFIX}k:strange", b"\xc1")
    assert await owners.find(["k:strange", ITEM.key]) == [ITEM]


async def test_a_connection_that_was_just_cut_knows_nothing(owners, monkeypatch):
    """A call that asks goes on without."""
    with monkeypatch.context() as patch:
        cut_connections(patch)
        assert await owners.find([ITEM.key]) == []


async def test_a_silent_server_is_asked_once(owners, redis_server):
    """Nobody else waits for it, and once it is back it is asked again."""
    redis_server.freeze()
    try:
        assert await owners.find([ITEM.key]) == []
        assert not owners._breaker.closed
        assert await owners.find([ITEM.key]) == []
    finally:
        redis_server.thaw()
    async with asyncio.timeout(30):
        while not await owners.find([ITEM.key]):  # noqa: ASYNC110 - the breaker lets it be asked
            await asyncio.sleep(0.01)
