"""Gateways that share their state: in one process, on one database and one real Redis."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from itertools import count

import pytest
import redis
from msgspec import structs

from app.compose import Gateway, gateway
from app.domain.account import Account, AccountKind, Secret
from app.domain.caller import Allowance
from app.domain.enrolment import Enrolment
from app.domain.outcome import RateLimited, Succeeded
from app.domain.shared import Binding, CredentialRenewed, Draining, KeyRevoked
from app.pool.pool import Lease
from app.pool.state import UNSHARED, Health
from app.ports import Tokens
from app.settings import Driver, Settings
from app.shared.memory import MemoryShared
from tests.fakes.accounts import call

FAR = 4_000_000_000.0
CAP = 8


async def until(look: Callable[[], object], *, within_s: float = 30.0) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(within_s):
        while not look():  # noqa: ASYNC110 - what is looked at says nothing by itself
            await asyncio.sleep(0.01)


@pytest.fixture
def shared(settings: Settings, redis_server) -> Settings:
    """Settings of gateways that share an empty Redis, which was left in good order."""
    with redis.Redis(port=redis_server.port) as server:
        server.flushall()
        server.hset("c2a:meta", "calm", "1")
    return structs.replace(
        settings, cache_driver=Driver.REDIS, redis_addr=f"127.0.0.1:{redis_server.port}"
    )


@pytest.fixture
async def two(shared: Settings) -> AsyncIterator[tuple[Gateway, Gateway]]:
    """Two gateways that have heard of each other, with one account."""
    async with AsyncExitStack() as stack:
        one, other = [await stack.enter_async_context(gateway(shared)) for _ in range(2)]
        await enrol(one)
        for each in (one, other):
            await until(lambda each=each: each.sharing.shared.view().processes == 2)
            await until(lambda each=each: any(state.share for state in each.pool.states))
        yield one, other


async def enrol(opened: Gateway) -> Account:
    """Add an account."""
    new = Enrolment(
        name="a",
        kind=AccountKind.CODEX,
        access_token=Secret("at"),
        refresh_token=Secret("rt"),
        expires_at=FAR,
        concurrency_max=CAP,
    )
    added = await opened.store.accounts.add(new, at=opened.clock.now())
    return added.account


def state_of(opened: Gateway):
    """Return its one account."""
    [state] = opened.pool.states
    return state


def lease(opened: Gateway) -> Lease:
    """Lease its account."""
    found = opened.pool.lease(call(), excluding=frozenset(), now=opened.clock.now())
    assert isinstance(found, Lease)
    return found


async def test_a_gateway_alone_shares_nothing(settings):
    """Its accounts are its own, it is ready at once, and there is no Redis to be had."""
    async with gateway(settings) as opened:
        await enrol(opened)
        await opened.reload()
        sharing = opened.sharing
        assert state_of(opened).share == UNSHARED
        assert (sharing.settled, sharing.age_s, sharing.redis) == (True, 0.0, None)
        assert isinstance(sharing.shared, MemoryShared)
        opened.sharing.announce(Draining(None))
        assert not opened.in_flight.draining


async def test_an_account_is_split_and_whoever_needs_more_gets_it(two):
    """Together they never have more than it takes, and what one leaves the other uses."""
    one, other = two
    await until(lambda: state_of(one).share == state_of(other).share == CAP // 2)
    leases = [lease(one) for _ in range(CAP // 2)]
    waiting = [asyncio.ensure_future(one.admission.lease(call())) for _ in range(CAP // 2)]
    leases += [await asyncio.wait_for(each, 30) for each in waiting]
    assert (state_of(one).share, state_of(other).share) == (CAP, 0)
    for each in leases:
        one.admission.settle(each, Succeeded(0.1))


async def test_what_one_learns_the_other_knows(two):
    """Rests and their end, what belongs to whom, orders to one of them."""
    one, other = two
    one.pool.settle(lease(one), RateLimited(one.clock.now() + 500.0), now=one.clock.now())
    await until(lambda: state_of(other).health is Health.COOLING)
    account_id = state_of(one).account.id
    one.reset(account_id)
    await until(lambda: state_of(other).health is Health.READY)
    names = (f"k:{number}" for number in count())

    def heard() -> bool:
        # Whoever has only just begun does not listen yet, and nothing is told twice.
        now, name = one.clock.now(), next(names)
        one.pool.bind(name, account_id, now=now)
        told.append(name)
        return any(other.pool.owner(each, now=now) == account_id for each in told)

    told: list[str] = []
    await until(heard)
    assert not one.in_flight.draining
    one.sharing.drain_siblings()
    await until(lambda: other.in_flight.draining)


async def test_whose_an_item_is_can_be_asked_for_later(two):
    """By a process that was not there when it was told; what is known is not asked for."""
    one, other = two
    account_id = state_of(one).account.id
    await one.sharing.shared.bind([Binding("k:old", account_id, 5.0, owned=True)])
    now = other.clock.now()
    asking = call(owner_keys=("k:old", "k:unknown"))
    other.pool._owners._entries.clear()
    await other.sharing.recall(asking)
    assert other.pool.owner("k:old", now=now) is None  # bound so long ago that it is over
    await one.sharing.shared.bind([Binding("k:new", account_id, now, owned=True)])
    await other.sharing.recall(call(owner_keys=("k:new",)))
    assert other.pool.owner("k:new", now=now) == account_id
    await other.sharing.recall(call())


async def test_a_credential_that_one_renewed_is_the_others_too(two):
    """It is read from the store as soon as it is announced; one that is known is not."""
    one, other = two
    account = state_of(one).account
    tokens = Tokens(Secret("at-2"), Secret("rt-2"), None, FAR)
    generation = account.credential.generation
    stored = await one.store.credentials.renewed(
        account.id, tokens, generation=generation, at=one.clock.now()
    )
    one.sharing.announce(CredentialRenewed(account.id, stored.credential.generation))
    one.sharing.announce(CredentialRenewed(account.id, generation))
    await until(
        lambda: state_of(other).account.credential.access_token == Secret("at-2"), within_s=30
    )


async def test_a_key_that_is_revoked_opens_nothing_at_once(two):
    """The bell is quicker than a look at the store, and needs none."""
    one, other = two
    [caller] = other.keys.callers
    one.sharing.announce(KeyRevoked(caller.id))
    await until(lambda: list(other.keys.callers) == [])


async def test_what_a_key_takes_here_is_missing_there(two):
    """Calls under way, those of a minute, and money."""
    one, other = two
    allowance = Allowance(concurrency_max=2, requests_per_minute=100, day_nusd=100)
    made = await one.store.keys.create(name="k", at=1.0, allowance=allowance)
    key_id = made.caller.id
    for each in (one, other):
        await until(lambda each=each: key_id in each.books.allowance.limited)
    clock, book = one.clock, one.books.allowance
    tickets = [
        book.enter(made.caller, now=clock.now(), monotonic=clock.monotonic()) for _ in range(2)
    ]
    heard = other.books.allowance._elsewhere
    await until(lambda: heard[key_id].heard.in_flight == 2)
    assert heard[key_id].heard.requests == 2
    for ticket in tickets:
        book.settle(ticket, tokens=0, cost_nusd=30, now=clock.now())
    await until(lambda: heard[key_id].heard.day_nusd == 60)
    assert heard[key_id].heard.in_flight == 0


async def test_a_gateway_starts_without_redis_and_finds_it_later(shared, redis_server):
    """It is ready with its guess of a share, says so, and has all of it once it can ask."""
    redis_server.kill()
    try:
        async with gateway(shared) as opened:
            await enrol(opened)
            await until(lambda: any(state.share for state in opened.pool.states))
            assert opened.sharing.settled
            assert not opened.sharing.shared.up
            opened.pool.settle(lease(opened), Succeeded(0.1), now=opened.clock.now())
            await asyncio.to_thread(redis_server.start)
            await until(lambda: opened.sharing.shared.up)
            await until(lambda: state_of(opened).share == CAP)
            await until(lambda: opened.sharing.age_s < 5.0)
    finally:
        if redis_server.process is None:
            redis_server.start()
