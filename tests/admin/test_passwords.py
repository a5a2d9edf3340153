"""Tests of app.admin.passwords."""

import asyncio

import pytest
from argon2 import PasswordHasher

from app.admin.passwords import AT_A_TIME, WAITING_MAX, Passwords, TooManyHashes
from app.domain.account import Secret


async def test_a_hash_is_that_of_its_password_alone():
    """And costs what RFC 9106 asks for."""
    passwords = Passwords()
    made = await passwords.hash(Secret("a long password"))
    assert made.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert await passwords.matches(made, Secret("a long password"))
    assert not await passwords.matches(made, Secret("another one"))
    assert not await passwords.matches("no hash", Secret("a long password"))


async def test_few_are_tried_at_a_time_and_few_wait():
    """More are told to come back."""
    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    passwords = Passwords(quick)
    for _ in range(AT_A_TIME):
        await passwords._places.acquire()
    waiting = [asyncio.ensure_future(passwords.hash(Secret("p"))) for _ in range(WAITING_MAX)]
    await asyncio.sleep(0)
    with pytest.raises(TooManyHashes):
        await passwords.hash(Secret("p"))
    for _ in range(AT_A_TIME):
        passwords._places.release()
    assert len(await asyncio.gather(*waiting)) == WAITING_MAX
