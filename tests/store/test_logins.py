"""Tests of app.store.logins: as app.accounts.pending, over processes."""

import asyncio

import pytest

from app.domain.account import Secret
from app.domain.login import LOGINS_MAX, Claim
from app.settings import Settings
from app.store.keyring import SealBroken
from app.store.store import Store
from tests.store.behind import execute

ONE, OTHER = Secret("one"), Secret("other")


async def test_a_login_is_taken_once_and_not_for_ever(store: Store) -> None:
    """By whoever comes first, however many ask."""
    logins = store.logins
    await logins.put("id", ONE, expires_at=10.0, due_at=0.0)
    await logins.put("id", OTHER, expires_at=10.0, due_at=0.0)
    taken = await asyncio.gather(*(logins.take("id", now=9.0) for _ in range(4)))
    assert sorted(taken, key=str) == sorted([OTHER, None, None, None], key=str)
    await logins.put("id", ONE, expires_at=10.0, due_at=0.0)
    assert await logins.take("id", now=10.0) is None


async def test_a_login_is_held_by_one_at_a_time(store: Store) -> None:
    """Until he puts it back, or the time is up."""
    logins = store.logins
    await logins.put("id", ONE, expires_at=100.0, due_at=5.0)
    assert await logins.claim("id", now=4.0, until=64.0) == Claim(None)
    claims = await asyncio.gather(*(logins.claim("id", now=5.0, until=65.0) for _ in range(4)))
    assert sorted(claims, key=str) == sorted([Claim(ONE), *[Claim(None)] * 3], key=str)
    assert await logins.claim("id", now=65.0, until=125.0) == Claim(ONE)
    assert await logins.claim("id", now=100.0, until=160.0) is None
    assert await logins.claim("none", now=0.0, until=60.0) is None


async def test_the_oldest_give_way(store: Store) -> None:
    """Their number is bounded."""
    logins = store.logins
    for number in range(LOGINS_MAX + 1):
        await logins.put(str(number), ONE, expires_at=10.0 + number, due_at=0.0)
    assert await logins.take("0", now=0.0) is None
    assert await logins.take("1", now=0.0) == ONE


async def test_a_login_opens_in_its_own_place(store: Store, settings: Settings) -> None:
    """It is sealed."""
    await store.logins.put("one", ONE, expires_at=10.0, due_at=0.0)
    await execute(settings, "UPDATE logins SET id = 'x'")
    await store.logins.put("two", OTHER, expires_at=10.0, due_at=0.0)
    await execute(
        settings,
        "UPDATE logins SET login = (SELECT login FROM logins WHERE id = 'x') WHERE id <> 'x'",
    )
    with pytest.raises(SealBroken):
        await store.logins.take("two", now=0.0)
