"""Tests of app.admin.access."""

import pyotp
import pytest
from argon2 import PasswordHasher

from app.admin.access import IDLE_S, LIFE_S, SEEN_EVERY_S, Access, csrf_token
from app.admin.passwords import Passwords
from app.domain.account import Secret
from app.errors import CallerError, InvalidRequest, TooManyRequests, Unauthenticated
from tests.admin.rows import AdminRows
from tests.fakes.clock import FakeClock

PASSWORD = Secret("correct horse battery staple")
FROM = {"address": "192.0.2.1", "user_agent": "tests"}


class Door:
    """An access with what is behind it."""

    def __init__(self, *, from_environment: bool = False) -> None:
        self.rows, self.clock = AdminRows(), FakeClock()
        quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        self.passwords = Passwords(quick)
        self.access = Access(
            rows=self.rows,
            passwords=self.passwords,
            clock=self.clock,
            from_environment=from_environment,
        )

    async def open(self):
        """Log in."""
        return await self.access.log_in(PASSWORD, code=None, **FROM)


@pytest.fixture
async def door() -> Door:
    """A door whose password is known."""
    made = Door()
    await made.access.prepare(PASSWORD)
    return made


async def test_a_password_is_made_up_once_and_told_once():
    """The second start says nothing."""
    door = Door()
    made = await door.access.prepare(None)
    assert len(made.reveal()) >= 24
    assert await door.access.prepare(None) is None
    await door.access.log_in(made, code=None, **FROM)
    assert made.reveal() not in door.rows.stored.hash


async def test_the_environment_s_password_counts_from_the_next_start_on(door):
    """And ends the sessions of the one before; the same one ends none."""
    opened = await door.open()
    await door.access.prepare(PASSWORD)
    assert await door.access.session(opened.cookie)
    await door.access.prepare(Secret("another long password"))
    assert await door.access.session(opened.cookie) is None


async def test_a_session_ends_when_nobody_uses_it_and_anyway(door):
    """Half an hour, twelve hours."""
    opened = await door.open()
    used = 0.0
    while used < LIFE_S - IDLE_S:
        await door.clock.advance(IDLE_S - 1)
        used += IDLE_S - 1
        assert await door.access.session(opened.cookie)
    await door.clock.advance(IDLE_S)
    assert await door.access.session(opened.cookie) is None
    again = await door.open()
    await door.clock.advance(IDLE_S + 1)
    assert await door.access.session(again.cookie) is None
    assert not await door.access.alive(again.cookie)
    assert await door.access.sessions() == []


async def test_a_use_is_written_down_now_and_then(door):
    """Not with each request; and to be looked at is no use."""
    opened = await door.open()
    for _ in range(10):
        await door.clock.advance(SEEN_EVERY_S / 5)
        assert await door.access.alive(opened.cookie)
    assert door.rows.seen == 0
    for _ in range(10):
        await door.clock.advance(SEEN_EVERY_S / 5)
        await door.access.session(opened.cookie)
    assert 1 <= door.rows.seen <= 3


async def test_what_is_stored_of_a_session_opens_nothing(door):
    """Neither its digest nor its id."""
    opened = await door.open()
    assert opened.cookie.reveal() not in str(door.rows.known)
    for stolen in (opened.session.digest, opened.session.id):
        assert await door.access.session(Secret(stolen)) is None


async def test_each_session_has_a_token_of_its_own(door):
    """Which does not tell the cookie."""
    one, two = (await door.open()).cookie, (await door.open()).cookie
    assert csrf_token(one) != csrf_token(two)
    assert csrf_token(one) == csrf_token(one)


async def test_a_key_that_was_right_costs_no_second_hash(door, monkeypatch):
    """A script asks often; a wrong one is hashed, and slowed."""
    await door.access.admit_key(PASSWORD, address="192.0.2.2")

    async def never(*_args: object) -> bool:
        raise AssertionError

    with monkeypatch.context() as patched:
        patched.setattr(door.passwords, "matches", never)
        await door.access.admit_key(PASSWORD, address="192.0.2.2")
    for _ in range(6):
        with pytest.raises(Unauthenticated):
            await door.access.admit_key(Secret("wrong \udcff"), address="192.0.2.3")
    with pytest.raises(TooManyRequests) as caught:
        await door.access.admit_key(Secret("wrong"), address="192.0.2.3")
    assert caught.value.retry_after_s > 0


async def test_a_key_of_the_password_before_is_forgotten(door):
    """With the password."""
    await door.access.admit_key(PASSWORD, address="a")
    await door.access.change_password(PASSWORD, Secret("another long password"), **FROM)
    with pytest.raises(Unauthenticated):
        await door.access.admit_key(PASSWORD, address="a")


async def test_a_password_is_changed_by_who_knows_the_old_one(door):
    """Every session ends but the new one."""
    before = await door.open()
    with pytest.raises(Unauthenticated):
        await door.access.change_password(Secret("wrong"), Secret("x" * 12), **FROM)
    with pytest.raises(InvalidRequest) as caught:
        await door.access.change_password(PASSWORD, Secret("short"), **FROM)
    assert caught.value.param == "new_password"
    after = await door.access.change_password(PASSWORD, Secret("x" * 12), **FROM)
    assert await door.access.session(before.cookie) is None
    assert await door.access.session(after.cookie)


async def test_a_password_of_the_environment_is_not_changed_here():
    """The next start would undo it."""
    door = Door(from_environment=True)
    with pytest.raises(CallerError) as caught:
        await door.access.change_password(PASSWORD, Secret("x" * 12), **FROM)
    assert caught.value.code == "set_by_environment"


async def test_a_code_is_good_for_one_login_and_its_neighbours_too(door):
    """Clocks differ by half a minute."""
    begun = await door.access.begin_second_factor(PASSWORD, address="a")
    totp = pyotp.TOTP(begun.secret.reveal())
    now = door.clock.now()
    await door.access.confirm_second_factor(totp.at(now - 30), address="a")
    for code in (totp.at(now), f"{totp.at(now + 30)[:3]} {totp.at(now + 30)[3:]}"):
        await door.access.log_in(PASSWORD, code=code, **FROM)
    for code in (totp.at(now), totp.at(now - 60), "x", "١٢٣٤٥٦"):
        with pytest.raises(Unauthenticated):
            await door.access.log_in(PASSWORD, code=code, **FROM)
    with pytest.raises(Unauthenticated) as caught:
        await door.access.log_in(PASSWORD, code=None, **FROM)
    assert caught.value.code == "totp_required"


async def test_there_must_be_a_second_factor_to_confirm_or_remove(door):
    """Otherwise it is told."""
    with pytest.raises(InvalidRequest):
        await door.access.confirm_second_factor("123456", address="a")
    with pytest.raises(InvalidRequest):
        await door.access.remove_second_factor(PASSWORD, "123456", address="a")
