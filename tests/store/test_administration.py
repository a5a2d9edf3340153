"""Tests of app.store.administration."""

from app.domain.account import Secret
from app.domain.admin import Password, Session
from app.settings import Settings
from app.store import administration as module
from app.store.store import Store
from tests.store.full import KEYS, with_keys


def session(number: int, *, seen_at: float = 0.0, created_at: float = 0.0) -> Session:
    """Return a session."""
    return Session(f"{number:064x}", created_at, seen_at, "192.0.2.1", "tests")


async def test_the_first_password_is_stored_once(store: Store) -> None:
    """Of two workers that begin together, one makes it up."""
    rows = store.administration
    assert await rows.password() is None
    assert await rows.first_password("hash", at=1.0)
    assert not await rows.first_password("other", at=2.0)
    assert await rows.password() == Password("hash", 1.0)


async def test_a_new_password_ends_every_session(store: Store) -> None:
    """Whoever was logged in by the old one is not by the new one."""
    rows = store.administration
    await rows.set_password("one", at=1.0)
    await rows.add_session(session(1), expired_before=(-1.0, -1.0))
    await rows.set_password("two", at=2.0)
    assert await rows.password() == Password("two", 2.0)
    assert await rows.sessions() == []


async def test_a_step_of_a_code_is_taken_once(store: Store) -> None:
    """Nor is one from before it."""
    rows = store.administration
    await rows.set_password("one", at=1.0)
    assert await rows.take_step(5)
    assert not await rows.take_step(5)
    assert not await rows.take_step(4)
    assert await rows.take_step(6)


async def test_a_second_factor_counts_once_it_is_confirmed(store: Store) -> None:
    """What is pending is apart, and goes with it."""
    rows = store.administration
    await rows.set_second_factor(Secret("new"), pending=True)
    assert await rows.second_factor() is None
    assert await rows.second_factor(pending=True) == Secret("new")
    await rows.set_second_factor(Secret("new"))
    assert await rows.second_factor() == Secret("new")
    assert await rows.second_factor(pending=True) is None
    await rows.set_second_factor(None)
    assert await rows.second_factor() is None


async def test_a_second_factor_outlives_a_restart(new_sqlite_settings: Settings) -> None:
    """It is sealed like every other secret."""
    settings = with_keys(new_sqlite_settings, *KEYS)
    async with Store.open(settings) as opened:
        await opened.administration.set_second_factor(Secret("canary-of-totp"))
    assert b"canary-of-totp" not in settings.sqlite_path.read_bytes()
    async with Store.open(settings) as opened:
        assert await opened.administration.second_factor() == Secret("canary-of-totp")


async def test_sessions_are_found_seen_and_ended(store: Store) -> None:
    """The one that was seen last is the first."""
    rows = store.administration
    for number in (1, 2):
        await rows.add_session(session(number, seen_at=number), expired_before=(-1.0, -1.0))
    await rows.see_session(session(1).digest, at=5.0)
    assert [each.digest for each in await rows.sessions()] == [session(1).digest, session(2).digest]
    assert (await rows.session(session(1).digest)).seen_at == 5.0
    assert await rows.end_session(session(2).digest)
    assert not await rows.end_session(session(2).digest)
    assert await rows.session(session(2).digest) is None


async def test_sessions_that_are_over_or_too_many_go(store: Store, monkeypatch) -> None:
    """With the next login."""
    monkeypatch.setattr(module, "SESSIONS_MAX", 2)
    rows = store.administration
    await rows.add_session(session(1, created_at=1, seen_at=9), expired_before=(0, 0))
    await rows.add_session(session(2, created_at=5, seen_at=6), expired_before=(2, 0))
    assert [each.digest for each in await rows.sessions()] == [session(2).digest]
    await rows.add_session(session(3, created_at=5, seen_at=7), expired_before=(0, 0))
    await rows.add_session(session(4, created_at=5, seen_at=8), expired_before=(0, 0))
    assert [each.digest for each in await rows.sessions()] == [session(4).digest, session(3).digest]
