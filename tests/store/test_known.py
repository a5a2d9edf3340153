"""Tests of app.store.known."""

from msgspec import structs

from app.domain.account import Secret
from app.domain.enrolment import Enrolment
from app.settings import Settings
from app.store.known import Known, already_there
from app.store.store import Store

KEY = Secret("a-key-that-somebody-had")
NEW = Enrolment(name="a", refresh_token=Secret("r"))


async def test_what_is_there_is_told_without_a_change(settings: Settings) -> None:
    """By identity, by digest, and by the names of the keys that were not revoked."""
    async with Store.open(settings) as store:
        await store.accounts.add(NEW, at=1.0)
        made = await store.keys.create(name="revoked", at=1.0, key=Secret("revoked-key"))
        await store.keys.revoke(made.caller.id, at=2.0)
        await store.keys.create(name="works", at=1.0, key=KEY)
        before = await store.revision()
    other = structs.replace(NEW, refresh_token=Secret("other"))
    keys = [Secret("other"), KEY, Secret("revoked-key")]
    known = await already_there(settings, [other, NEW], keys)
    assert known == Known(frozenset({1}), frozenset({1, 2}), frozenset({"works"}))
    async with Store.open(settings) as store:
        assert await store.revision() == before


async def test_a_missing_database_stays_missing(new_settings: Settings) -> None:
    """Nothing is known then, and no file is made by the question."""
    assert await already_there(new_settings, [NEW], [KEY]) == Known()
    assert not new_settings.data_dir.exists()


async def test_a_database_without_any_secret_knows_no_key(settings: Settings) -> None:
    """Nobody has started on it yet."""
    assert await already_there(settings, [NEW], [KEY]) == Known()
