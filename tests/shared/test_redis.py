"""Shared state over a real Redis that dies, freezes, crawls and forgets."""

import asyncio
import logging
from collections.abc import AsyncIterator
from random import Random

import pytest
import redis

from app.clock import SystemClock
from app.domain.account import AccountId
from app.domain.caller import KeyId
from app.domain.shared import (
    AccountRested,
    AccountTally,
    Claim,
    KeySpent,
    Missed,
    Presence,
    Snapshot,
    StoreChanged,
)
from app.ports import SharedUnavailable
from app.settings import Driver, Settings
from app.shared import scripts
from app.shared.client import client_of
from app.shared.redis import EVENTS_MAX, PAGES_BYTES_MAX, Pace, RedisShared
from loadtests.chaos import chaos
from tests.shared.companies import MemoryCompany, RedisCompany, cut_connections

A, B = AccountId("a"), AccountId("b")
NOTHING = Snapshot()
BOUND_S = 2.0
"""No step may take this long: ten times its bound, a thirtieth of the library's own."""
HASTY = Pace(step_s=0.2)


@pytest.fixture
async def company(redis_server) -> AsyncIterator[RedisCompany]:
    """Nobody has joined yet; the server is running."""
    found = RedisCompany(redis_server)
    yield found
    await found.close()


async def says(member: RedisShared, *rows: AccountTally, **changes) -> list[object]:
    """Let a process say rows, as often as the breaker wants; return what it heard."""
    while True:
        try:
            return list((await member.publish(Snapshot(accounts=rows, **changes))).news)
        except SharedUnavailable:
            await asyncio.sleep(0.02)


async def fails(member: RedisShared) -> str:
    """Let a process fail to say anything, soon; return why."""
    with pytest.raises(SharedUnavailable) as failure:
        async with asyncio.timeout(BOUND_S):
            await member.publish(NOTHING)
    return str(failure.value)


async def test_it_may_be_away_from_the_start(company, caplog) -> None:
    """One warning, and everything that was to be said is said once it is there."""
    company.server.kill()
    one = company.join("one")
    assert not one.up
    with caplog.at_level(logging.INFO):
        one.announce(StoreChanged(1))
        with pytest.raises(SharedUnavailable):
            await one.publish(Snapshot(accounts=[AccountTally(A, 1, 0, 2, 3)]))
        await fails(one)
        with pytest.raises(SharedUnavailable):
            await one.lease("refresh:a", ttl_s=1.0)
        company.server.start()
        await says(one)
    assert one.up
    logged = [record.getMessage().split()[0] for record in caplog.records]
    assert logged == ["redis_away", "redis_back"]
    two = company.join("two")
    assert await says(two) == [StoreChanged(1)]
    assert two.view().account(A) == AccountTally(A, 1, 0, 2, 3)


async def test_a_frozen_server_costs_one_short_wait(company) -> None:
    """Then the breaker says so at once; and it is back when the server is."""
    one = company.join("one", pace=HASTY)
    await says(one, AccountTally(A, 1))
    fence = await one.lease("x", ttl_s=60.0)
    company.server.freeze()
    try:
        assert "Timeout" in await fails(one)
        assert not one.up
        assert "moment ago" in await fails(one)
        with pytest.raises(SharedUnavailable):
            await one.claim([Claim(A, 8, 0, 8)])
        await one.release(fence)
        await one.leave()
        assert one.view().processes == 1
    finally:
        company.server.thaw()
    await says(one, AccountTally(A, 2))
    assert one.up
    two = company.join("two")
    await says(two)
    assert two.view().account(A).in_flight == 2


async def test_a_connection_that_was_just_cut_is_none(company, monkeypatch) -> None:
    """The round fails as any other does, and nothing is lost."""
    one, two = company.join("one"), company.join("two")
    await one.publish(NOTHING)
    with monkeypatch.context() as patch:
        cut_connections(patch)
        assert "RuntimeError" in await fails(one)
        assert await one.bell() is None
    await says(one, AccountTally(A, 0, 0, 3, 30))
    await says(two)
    assert two.view().account(A).tokens == 30


async def test_a_slow_server_is_as_good_as_none(company) -> None:
    """Half a second is too long; once it is quick again, everything goes on."""
    async with chaos(company.server.port) as proxy:
        address = f"127.0.0.1:{proxy.port}"
        settings = Settings(cache_driver=Driver.REDIS, redis_addr=address)
        one = RedisShared(client=client_of(settings), incarnation="one", clock=SystemClock())
        company.members.append(one)
        await says(one, AccountTally(A, 1))
        proxy.latency_s = 0.5
        for _ in range(3):
            await fails(one)
        proxy.latency_s = 0.0
        await says(one, AccountTally(A, 2))
        two = company.join("two")
        await says(two)
        assert two.view().account(A).in_flight == 2


async def test_giving_up_in_the_middle_mixes_up_no_answers(company) -> None:
    """The connection goes with the question."""
    one = company.join("one")
    await says(one)
    company.server.freeze()
    waiting = asyncio.create_task(one.publish(NOTHING))
    await asyncio.sleep(0.05)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    company.server.thaw()
    assert (await one.lease("x", ttl_s=60.0)).number > 1_000
    assert list(await one.claim([Claim(A, 8, 0, 8)])) == [8]
    assert await says(one) == []


async def test_a_restarted_server_is_told_everything(company) -> None:
    """It kept nothing."""
    one = company.join("one")
    await says(one, AccountTally(A, 1), AccountTally(B, 2))
    company.server.kill()
    await fails(one)
    company.server.start()
    await says(one, AccountTally(A, 3))
    two = company.join("two")
    await says(two)
    assert two.view().account(A).in_flight == 3
    assert two.view().account(B).in_flight == 2


async def test_after_a_flush_totals_are_right_within_two_rounds(company) -> None:
    """For those who watched, for those who come new, and including those who are gone."""
    one, two, dead = (company.join(name, pace=Pace(5.0, gone_s=0.2)) for name in ("1", "2", "3"))
    await says(dead, AccountTally(A, 4, 0, 100, 1_000), keys=[KeySpent(KeyId("k"), 1, 7, 1, 7)])
    await says(one, AccountTally(A, 1, 0, 10, 10))
    await says(two, AccountTally(A, 2, 0, 20, 20))
    company.silence("3", 100.0)
    await says(one)
    assert company.raw.exists("c2a:image:retired")
    await says(two)
    assert two.view().account(A) == AccountTally(A, 1, 0, 110, 1_010)
    company.raw.flushall()
    for _ in range(2):
        await says(one)
        await says(two)
    late = company.join("late")
    await says(late)
    assert late.view().account(A) == AccountTally(A, 3, 0, 130, 1_030)
    assert late.view().spent(KeyId("k")) == KeySpent(KeyId("k"), 1, 7, 1, 7)
    for member, mine in ((one, 10), (two, 20)):
        await says(member)
        assert member.view().account(A).requests == 130 - mine


async def test_who_died_before_a_flush_is_not_forgotten(company) -> None:
    """Though it can't say so itself: those who heard it do."""
    pace = Pace(5.0, gone_s=0.1)
    one, dead = company.join("one", pace=pace), company.join("dead")
    await says(dead, AccountTally(A, 4, 0, 100, 1_000))
    await says(one)
    company.raw.flushall()
    await says(one)
    late = company.join("late", pace=pace)
    while not late.view().account(A).requests:
        await says(one)
        await says(late)
    assert late.view().account(A) == AccountTally(A, 0, 0, 100, 1_000)
    await says(dead, AccountTally(A, 5, 0, 101, 1_001))
    await says(late)
    assert late.view().account(A) == AccountTally(A, 5, 0, 101, 1_001)


async def test_the_dead_are_retired_once(company) -> None:
    """By whoever notices first; who comes back from the dead takes its figures with it."""
    one, two, dead = (company.join(name) for name in ("one", "two", "dead"))
    key = KeyId("k")
    spent = KeySpent(key, 100, 7, 50, 70)
    await says(dead, AccountTally(A, 4, 1, 100, 1_000), keys=[spent])
    for member in (one, two):
        await says(member)
    company.silence("dead", 100.0)
    for _ in range(3):
        for member in (one, two):
            await says(member)
    assert [name for name, _ in company.raw.zscan_iter("c2a:seen")] == [b"one", b"two"]
    for member in (one, two):
        assert member.view().account(A) == AccountTally(A, 0, 0, 100, 1_000)
        assert member.view().spent(key) == spent
    await says(dead, AccountTally(A, 1, 0, 102, 1_002), keys=[KeySpent(key, 200, 1, 50, 71)])
    for member in (one, two):
        await says(member)
        assert member.view().account(A) == AccountTally(A, 1, 0, 102, 1_002)
        assert member.view().spent(key) == KeySpent(key, 200, 1, 50, 71)


async def test_money_of_the_dead_is_of_the_latest_period(company) -> None:
    """A day that is over does not come back with somebody who died in it."""
    one = company.join("one")
    key = KeyId("k")
    for name, day_at, nusd in (("x", 100, 5), ("y", 200, 7), ("z", 100, 9), ("w", 200, 1)):
        await says(company.join(name), keys=[KeySpent(key, day_at, nusd, 50, nusd)])
        company.silence(name, 100.0)
        await says(one)
        await says(one)
    assert one.view().spent(key) == KeySpent(key, 200, 8, 50, 22)


async def test_an_image_that_is_lost_is_written_anew(company) -> None:
    """In the same round."""
    one, two = company.join("one"), company.join("two")
    await says(one, AccountTally(A, 1), AccountTally(B, 1))
    company.raw.delete("c2a:image:one")
    await says(one, AccountTally(A, 2))
    await says(two)
    assert (two.view().account(A).in_flight, two.view().account(B).in_flight) == (2, 1)


async def test_an_image_that_keeps_getting_lost_is_given_up_for_this_round(company) -> None:
    """There is no loop in it."""
    one = company.join("one")
    await says(one, AccountTally(A, 1))

    async def forgetful(_: object) -> list[object]:
        return [b"1", 0]

    one._sync = forgetful
    assert "losing" in await fails(one)


async def test_an_image_that_went_back_is_read_from_the_beginning(company) -> None:
    """As after a failover to an older copy."""
    one, two = company.join("one"), company.join("two")
    await says(one, AccountTally(A, 1))
    copy = company.raw.dump("c2a:image:one")
    await says(one, AccountTally(A, 2), AccountTally(B, 2))
    await says(two)
    company.raw.restore("c2a:image:one", 0, copy, replace=True)
    await says(two)
    await says(one)
    await says(two)
    assert (two.view().account(A).in_flight, two.view().account(B).in_flight) == (2, 2)


async def test_much_comes_in_several_answers(company) -> None:
    """None so long that it could not come in time."""
    one, two = company.join("one"), company.join("two")
    many = [AccountTally(AccountId(f"{number:016x}"), 1, 0, 5, 50) for number in range(12_000)]
    await says(one, *many)
    assert company.raw.memory_usage("c2a:image:one", samples=0) > PAGES_BYTES_MAX
    await says(two)
    assert sum(two.view().account(row.id).requests for row in many) == 60_000


async def test_too_many_events_are_a_gap(company) -> None:
    """Whether they waited here or there."""
    one, two = company.join("one"), company.join("two")
    await says(one)
    one.announce(StoreChanged(0))
    await says(one)
    await says(two)
    for number in range(EVENTS_MAX + 5):
        one.announce(StoreChanged(number))
    await says(one)
    heard = await says(two)
    assert heard[:2] == [Missed(), StoreChanged(5)]
    assert len(heard) == EVENTS_MAX + 1
    for number in range(EVENTS_MAX):
        one.announce(StoreChanged(number))
    await says(one)
    one.announce(StoreChanged(7))
    await says(one)
    assert (await says(two))[0] == Missed()


async def test_a_flush_is_a_gap(company) -> None:
    """What was announced and not heard by then is gone."""
    one, two = company.join("one"), company.join("two")
    await says(two)
    one.announce(StoreChanged(1))
    await says(one)
    company.raw.flushall()
    assert await says(two) == [Missed()]
    one.announce(StoreChanged(2))
    assert await says(one) == [Missed()]
    assert await says(two) == [StoreChanged(2)]


async def test_an_event_that_cannot_be_read_is_a_gap(company) -> None:
    """Of a newer version, perhaps."""
    one = company.join("one")
    await says(one)
    company.raw.rpush("c2a:events", b"\xc1")
    company.raw.hincrby("c2a:meta", "events", 1)
    assert await says(one) == [Missed()]


async def test_an_announcement_that_went_out_twice_is_heard_once(company) -> None:
    """The answer to the first was lost."""
    one, two = company.join("one"), company.join("two")
    await says(one)
    await says(two)
    one.announce(AccountRested(A, 1.0, "why"))
    outbox = list(one._outbox)
    await says(one)
    one._outbox.extend(outbox)
    await says(one)
    assert await says(two) == [AccountRested(A, 1.0, "why")]
    assert await says(two) == []


async def test_after_a_loss_nothing_is_granted_until_all_have_spoken(redis_server) -> None:
    """What is kept is kept; more comes after the grace."""
    company = RedisCompany(redis_server, calm=False)
    one, two = company.join("one"), company.join("two")
    await says(one)
    assert list(await one.claim([Claim(A, 8, 0, 8)])) == [0]
    company.raw.hset("c2a:meta", "quiet", "0")
    assert list(await one.claim([Claim(A, 8, 0, 6)])) == [6]
    company.raw.flushall()
    assert list(await two.claim([Claim(A, 8, 0, 8)])) == [0]
    await says(two)
    assert list(await two.claim([Claim(A, 8, 0, 8)])) == [0]
    assert not (await one.publish(NOTHING)).claims_known
    assert list(await one.claim([Claim(A, 8, 6, 6)])) == [6]
    assert (await one.publish(NOTHING)).claims_known
    company.raw.hset("c2a:meta", "quiet", "0")
    assert list(await two.claim([Claim(A, 8, 0, 8)])) == [2]
    await company.close()


async def test_after_a_silence_of_all_nothing_is_granted_at_first(company) -> None:
    """The server stood still: others may live and hold what they can't have said."""
    one = company.join("one")
    await says(one)
    assert list(await one.claim([Claim(A, 8, 0, 1)])) == [1]
    company.raw.hincrby("c2a:meta", "beat", -60_000)
    await says(one)
    assert list(await one.claim([Claim(A, 8, 1, 8)])) == [1]


async def test_who_has_not_been_heard_is_granted_nothing(company) -> None:
    """Others do not count what it holds."""
    one = company.join("one")
    await says(one)
    company.silence("one", 100.0)
    assert list(await one.claim([Claim(A, 8, 2, 8)])) == [2]


async def test_a_claim_that_comes_late_is_refused(company) -> None:
    """It would overwrite a newer one."""
    one = company.join("one")
    await says(one)
    await one.claim([Claim(A, 8, 0, 3)])
    await one.claim([Claim(A, 8, 3, 8)])
    one._questions = iter([1])
    with pytest.raises(SharedUnavailable, match="too late"):
        await one.claim([Claim(A, 8, 0, 3)])
    assert company.raw.hget("c2a:held:one", "a") == b"8"


async def test_both_kinds_of_shared_state_grant_the_same(company) -> None:
    """The script and its plain reading, on random claims."""
    rng = Random(4)
    memory = MemoryCompany()
    names = ["one", "two", "three"]
    pairs = [(company.join(name), memory.join(name)) for name in names]
    for pair in pairs:
        for member in pair:
            await member.publish(NOTHING)
    for _ in range(150):
        pair = rng.choice(pairs)
        claims = []
        for account_id in (A, B):
            keep = rng.randrange(4)
            claims.append(Claim(account_id, rng.randrange(1, 9), keep, keep + rng.randrange(6)))
        first, second = [list(await member.claim(claims)) for member in pair]
        assert first == second


async def test_numbers_of_leases_grow_even_over_a_loss(company) -> None:
    """A holder of before must not look newer than one of after."""
    one, two = company.join("one"), company.join("two")
    before = await one.lease("x", ttl_s=60.0)
    company.raw.flushall()
    after = await two.lease("x", ttl_s=60.0)
    assert after.number > before.number
    await one.release(before)
    assert await one.lease("x", ttl_s=60.0) is None


async def test_redis_may_forget_the_scripts(company) -> None:
    """They are sent again."""
    one = company.join("one")
    await says(one)
    company.raw.script_flush()
    await says(one, AccountTally(A, 1))
    assert (await one.lease("x", ttl_s=60.0)) is not None


async def test_a_bell_that_cannot_be_heard_is_silent(company) -> None:
    """And is heard again once the server is back."""
    one, two = company.join("one"), company.join("two")
    assert not await one.bell()  # nobody has been heard of yet
    await says(one)
    assert not await one.bell()  # it listens from here on
    company.server.kill()
    assert not await one.bell()
    company.server.start()
    await says(one)
    await says(two)
    await one.bell()
    await says(two, urgent=True)
    assert await one.bell()


async def test_a_wrong_password_is_said_plainly(company, caplog) -> None:
    """And is not in what is said."""
    settings = Settings(
        cache_driver=Driver.REDIS, redis_addr=company.server.url, redis_password="canary-5f2"
    )
    one = RedisShared(client=client_of(settings), incarnation="one", clock=SystemClock())
    company.members.append(one)
    company.raw.config_set("requirepass", "another")
    try:
        reason = await fails(one)
    finally:
        company.raw.config_set("requirepass", "")
    assert "AuthenticationError" in reason
    assert "canary-5f2" not in reason + caplog.text


async def test_everything_has_its_place_and_its_end(company) -> None:
    """Keys are ours by name, and what grows with processes goes away by itself."""
    one, dead = company.join("one"), company.join("dead")
    await says(dead, AccountTally(A, 1))
    company.silence("dead", 100.0)
    one.announce(StoreChanged(1))
    await says(one, AccountTally(A, 1), presence=Presence("1.0"))
    await one.claim([Claim(A, 8, 0, 8)])
    await one.lease("refresh:a", ttl_s=60.0)
    kept = {key for key in company.raw.scan_iter() if company.raw.ttl(key) < 0}
    assert kept == {b"c2a:meta", b"c2a:seen", b"c2a:events"}
    assert all(key.startswith(b"c2a:") for key in company.raw.scan_iter())


def test_the_scripts_name_the_keys_that_are_documented() -> None:
    """The module's docstring is the only description of what lies in Redis."""
    text = "".join(value for name, value in vars(scripts).items() if name.isupper())
    for word in ("meta", "seen", "image:", "grave:", "held:", "events", "lease:", "bell"):
        assert f"c2a:{word}" in text
        assert f"c2a:{word}" in scripts.__doc__


async def test_restoring_gives_way_to_what_is_there(company) -> None:
    """Whoever is back, or knows more, is not overwritten."""
    one, two = company.join("one"), company.join("two")
    await says(two, AccountTally(A, 5))
    head = int(company.raw.hget("c2a:image:two", "head"))
    assert await one._ask(one._restore, "two", head, b"\x93\x90\x90\x90", 0, 1_000) == 0
    assert await one._ask(one._restore, "two", head + 1, b"\x93\x90\x90\x90", 0, 60_000) == 1
    with redis.Redis(port=company.server.port) as raw:
        raw.hset("c2a:grave:two", "head", "1")
    assert await one._ask(one._restore, "two", head + 9, b"\x93\x90\x90\x90", 0, 1_000) == 0
