"""What every shared state promises, in memory and over a real Redis."""

from collections.abc import AsyncIterator

import pytest

from app.domain.account import AccountId
from app.domain.caller import KeyId
from app.domain.quota import QuotaView
from app.domain.shared import (
    AccountRested,
    AccountTally,
    Binding,
    Bound,
    Claim,
    CredentialRenewed,
    Draining,
    KeyRevoked,
    KeySpent,
    Presence,
    QuotaHeard,
    Rung,
    Snapshot,
    StoreChanged,
)
from app.shared.shares import LOST_S
from tests.shared.companies import MemoryCompany, RedisCompany

A, B = AccountId("a"), AccountId("b")


def said(*rows: AccountTally, **changes) -> Snapshot:
    """Return what a process says of accounts."""
    return Snapshot(accounts=rows, **changes)


@pytest.fixture(params=["memory", "redis"])
async def company(request) -> AsyncIterator[MemoryCompany | RedisCompany]:
    """Nobody has joined yet."""
    if request.param == "memory":
        found: MemoryCompany | RedisCompany = MemoryCompany()
    else:
        found = RedisCompany(request.getfixturevalue("redis_server"))
    yield found
    await found.close()


async def test_a_process_alone_has_nobody_to_add(company) -> None:
    """It is one process of rank 0, and the others did nothing."""
    one = company.join("one")
    tidings = await one.publish(said(AccountTally(A, 1, 0, 5, 50)))
    view = one.view()
    assert (view.processes, view.rank, list(view.short)) == (1, 0, [])
    assert view.account(A) == AccountTally(A)
    assert view.spent(KeyId("k")) == KeySpent(KeyId("k"))
    assert view.heard_at is not None
    assert not tidings.news
    assert one.up


async def test_sums_are_over_all_others(company) -> None:
    """Each hears what the other two said; what they leave out is as they said before."""
    one, two, three = (company.join(name) for name in ("one", "two", "three"))
    await two.publish(said(AccountTally(A, 2, 1, 10, 100), AccountTally(B, 0, 0, 1, 1)))
    await three.publish(said(AccountTally(A, 3, 0, 20, 200)))
    await one.publish(said(AccountTally(A, 9, 9, 9, 9)))
    assert one.view().account(A) == AccountTally(A, 5, 1, 30, 300)
    assert one.view().account(B) == AccountTally(B, 0, 0, 1, 1)
    assert list(one.view().short) == [A]
    assert one.view().processes == 3
    assert list(one.view().needs(A, 7)) == [7, 3, 3]
    await two.publish(said(AccountTally(A, 0, 0, 12, 120)))
    await one.publish(said())
    assert one.view().account(A) == AccountTally(A, 3, 0, 32, 320)
    assert not list(one.view().short)
    assert list(one.view().needs(B, 4)) == [4, 0, 0]


async def test_saying_a_thing_twice_changes_nothing(company) -> None:
    """Figures are absolute."""
    one, two = company.join("one"), company.join("two")
    for _ in range(3):
        await two.publish(said(AccountTally(A, 2, 0, 10, 100)))
        await one.publish(said())
    assert one.view().account(A) == AccountTally(A, 2, 0, 10, 100)


async def test_who_is_silent_has_no_calls_under_way_but_did_what_it_did(company) -> None:
    """Calls of a process that is gone are over; its requests and tokens were real."""
    one, two = company.join("one"), company.join("two")
    await two.publish(said(AccountTally(A, 2, 1, 10, 100)))
    await one.publish(said())
    company.silence("two", 5.0)
    await one.publish(said())
    assert one.view().account(A) == AccountTally(A, 0, 0, 10, 100)
    assert one.view().processes == 1
    assert not list(one.view().short)
    await two.publish(said())
    await one.publish(said())
    assert one.view().account(A) == AccountTally(A, 2, 1, 10, 100)


async def test_who_comes_late_hears_everything(company) -> None:
    """Also what was said long ago and has not changed since."""
    one = company.join("one")
    for number in range(100):
        await one.publish(said(AccountTally(AccountId(f"a{number}"), number, 0, 1, 1)))
    late = company.join("late")
    await late.publish(said())
    found = [late.view().account(AccountId(f"a{number}")).in_flight for number in range(100)]
    assert found == list(range(100))


async def test_money_of_one_period_is_added_up(company) -> None:
    """An older day or month of a process that has spent nothing since counts no more."""
    one, two, three = (company.join(name) for name in ("one", "two", "three"))
    key = KeyId("k")
    await two.publish(Snapshot(keys=[KeySpent(key, 100, 7, 50, 70)]))
    await three.publish(Snapshot(keys=[KeySpent(key, 100, 1, 50, 2)]))
    await one.publish(said())
    assert one.view().spent(key) == KeySpent(key, 100, 8, 50, 72)
    await three.publish(Snapshot(keys=[KeySpent(key, 200, 3, 50, 5)]))
    await one.publish(said())
    assert one.view().spent(key) == KeySpent(key, 200, 3, 50, 75)


async def test_presences_are_of_those_alive(company) -> None:
    """With the revision that they have, so that an operator sees who lags behind."""
    one, two = company.join("one"), company.join("two")
    await two.publish(said(presence=Presence("1.0", "host", 7, 1.5, revision=3)))
    await one.publish(said())
    assert list(one.view().presences) == [("two", Presence("1.0", "host", 7, 1.5, 3))]
    company.silence("two", 5.0)
    await one.publish(said())
    assert not list(one.view().presences)


async def test_events_reach_all_others_in_order_and_once(company) -> None:
    """Of every kind, and not the one who announced them."""
    one, two, three = (company.join(name) for name in ("one", "two", "three"))
    for member in (one, two, three):
        await member.publish(said())
    events = [
        AccountRested(A, 1_800_000_000.5, "rate limit", "m1"),
        CredentialRenewed(A, 4),
        StoreChanged(12),
        KeyRevoked(KeyId("k")),
        Draining(None),
    ]
    for event in events:
        two.announce(event)
    assert not (await two.publish(said())).news
    for member in (one, three):
        assert list((await member.publish(said())).news) == events
        assert not (await member.publish(said())).news


async def test_who_comes_late_hears_of_rests_but_takes_no_old_orders(company) -> None:
    """A rest may still last; a drain was meant for those who lived then."""
    one = company.join("one")
    one.announce(Draining(None))
    one.announce(AccountRested(A, 2_000_000_000.0, "rate limit"))
    await one.publish(said())
    late = company.join("late")
    assert list((await late.publish(said())).news) == [
        AccountRested(A, 2_000_000_000.0, "rate limit")
    ]


async def test_a_lease_has_one_holder_and_a_number_that_grows(company) -> None:
    """Until it is given back, by its holder only, or runs out."""
    one, two = company.join("one"), company.join("two")
    first = await one.lease("refresh:a", ttl_s=30.0)
    assert await two.lease("refresh:a", ttl_s=30.0) is None
    other = await two.lease("refresh:b", ttl_s=30.0)
    assert other.number > first.number
    await one.release(first)
    second = await two.lease("refresh:a", ttl_s=30.0)
    assert second.number > other.number
    await one.release(first)
    assert await one.lease("refresh:a", ttl_s=30.0) is None
    company.expire("refresh:a")
    third = await one.lease("refresh:a", ttl_s=30.0)
    assert third.number > second.number
    await two.release(second)
    assert await two.lease("refresh:a", ttl_s=30.0) is None
    await one.release(third, after_s=30.0)
    assert await two.lease("refresh:a", ttl_s=30.0) is None
    company.expire("refresh:a")
    assert await two.lease("refresh:a", ttl_s=30.0) is not None


async def test_a_lease_of_somebody_who_is_gone_is_free(company) -> None:
    """Not at once: it may be heard of again; nor that of one that has said nothing yet."""
    one, two, new = company.join("one"), company.join("two"), company.join("new")
    for each in (one, two):
        await each.publish(said())
    assert await one.lease("lane", ttl_s=30.0)
    assert await new.lease("other", ttl_s=30.0)
    company.silence("one", LOST_S - 1.0)
    assert await two.lease("lane", ttl_s=30.0) is None
    company.silence("one", 2.0)
    assert await two.lease("lane", ttl_s=30.0)
    assert await two.lease("other", ttl_s=30.0) is None


async def test_calls_of_a_key_are_told_while_they_are_under_way(company) -> None:
    """And those that were let in since one began to listen, whatever became of who did it."""
    one, two = company.join("one"), company.join("two")
    key = KeyId("k")
    await two.publish(Snapshot(keys=[KeySpent(key, 1, 2, 1, 2, requests=100, tokens=1_000)]))
    await one.publish(said())
    one.view().spending()
    now = KeySpent(key, 1, 2, 1, 2, 9, 3, 105, 990)
    await two.publish(Snapshot(keys=[now]))
    await one.publish(said())
    assert one.view().spending() == [KeySpent(key, 1, 2, 1, 2, 9, 3, 5, -10)]
    assert one.view().spending() == []
    await two.leave()
    await one.publish(said())
    assert one.view().spending() == [KeySpent(key, 1, 2, 1, 2, 0, 0, 5, -10)]


async def test_bindings_are_heard_by_those_who_listen(company) -> None:
    """At once and without a round, each by everybody but who said it."""
    one, two = company.join("one"), company.join("two")
    for each in (one, two):
        await each.publish(said())
        await each.bell()
    bound = Binding("k:1", AccountId("a"), 5.0, owned=True)
    await two.bind([bound])
    heard = await one.bell()
    assert isinstance(heard, Bound)
    assert list(heard.bindings) == [bound]
    two.announce(StoreChanged(1))
    await two.publish(said())
    assert isinstance(await one.bell(), Rung)


async def test_what_is_not_urgent_rings_no_bell(company) -> None:
    """It comes with the next round."""
    one, two = company.join("one"), company.join("two")
    await one.publish(said())
    await two.publish(said())
    await one.bell()
    heard = QuotaHeard(AccountId("a"), QuotaView(allowed=True), "m")
    two.announce(heard)
    await two.publish(said())
    assert await one.bell() is None
    assert (await one.publish(said())).news == [heard]


async def test_credits_are_never_held_twice(company) -> None:
    """Whoever asks gets what the others leave, and keeps what it says it keeps."""
    one, two = company.join("one"), company.join("two")
    await one.publish(said())
    await two.publish(said())
    assert list(await one.claim([Claim(A, 8, 0, 5), Claim(B, 4, 0, 4)])) == [5, 4]
    assert list(await two.claim([Claim(A, 8, 0, 8), Claim(B, 4, 0, 1)])) == [3, 0]
    assert list(await one.claim([Claim(A, 8, 2, 2)])) == [2]
    assert list(await two.claim([Claim(A, 8, 3, 8), Claim(B, 4, 1, 1)])) == [6, 1]
    assert list(await one.claim([Claim(A, 3, 2, 3)])) == [2]
    assert list(await one.claim([])) == []


async def test_the_credits_of_the_dead_are_free(company) -> None:
    """And those of whoever goes in good order are so at once."""
    one, two, three = (company.join(name) for name in ("one", "two", "three"))
    for member in (one, two, three):
        await member.publish(said())
    await two.claim([Claim(A, 8, 0, 4)])
    await three.claim([Claim(A, 8, 0, 3)])
    assert list(await one.claim([Claim(A, 8, 0, 8)])) == [1]
    company.silence("two", 5.0)
    assert list(await one.claim([Claim(A, 8, 1, 8)])) == [5]
    await three.leave()
    assert list(await one.claim([Claim(A, 8, 5, 8)])) == [8]
    await one.publish(said())
    assert one.view().processes == 1


async def test_a_bell_rings_for_the_others(company) -> None:
    """Something urgent wakes them; something else does not."""
    one, two = company.join("one"), company.join("two")
    await one.publish(said())
    await two.publish(said())
    await one.bell()  # it listens from here on
    await two.publish(said())
    two.announce(StoreChanged(1))
    await two.publish(said())
    assert await one.bell()
    await two.publish(said(urgent=True))
    assert await one.bell()
