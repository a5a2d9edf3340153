"""Tests of app.accounts.pending: what every keeper of logins in progress does."""

from app.accounts.pending import MemoryLogins
from app.domain.account import Secret
from app.domain.login import LOGINS_MAX, Claim

ONE, OTHER = Secret("one"), Secret("other")


async def test_a_login_is_taken_once_and_not_for_ever() -> None:
    """Whoever takes it has it."""
    logins = MemoryLogins()
    await logins.put("id", ONE, expires_at=10.0, due_at=0.0)
    await logins.put("id", OTHER, expires_at=10.0, due_at=0.0)
    assert await logins.take("id", now=9.0) == OTHER
    assert await logins.take("id", now=9.0) is None
    await logins.put("id", ONE, expires_at=10.0, due_at=0.0)
    assert await logins.take("id", now=10.0) is None


async def test_a_login_is_held_by_one_at_a_time() -> None:
    """Until he puts it back, or the time is up."""
    logins = MemoryLogins()
    await logins.put("id", ONE, expires_at=100.0, due_at=5.0)
    assert await logins.claim("id", now=4.0, until=64.0) == Claim(None)
    assert await logins.claim("id", now=5.0, until=65.0) == Claim(ONE)
    assert await logins.claim("id", now=5.0, until=65.0) == Claim(None)
    assert await logins.claim("id", now=65.0, until=125.0) == Claim(ONE)
    assert await logins.claim("id", now=100.0, until=160.0) is None
    assert await logins.claim("none", now=0.0, until=60.0) is None


async def test_the_oldest_give_way() -> None:
    """Their number is bounded."""
    logins = MemoryLogins()
    for number in range(LOGINS_MAX + 1):
        await logins.put(str(number), ONE, expires_at=10.0 + number, due_at=0.0)
    assert await logins.take("0", now=0.0) is None
    assert await logins.take("1", now=0.0) == ONE
