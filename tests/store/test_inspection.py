"""Tests of app.store.inspection."""

import pytest
from msgspec import structs

from app.domain.account import Secret
from app.domain.enrolment import Enrolment
from app.settings import Settings
from app.store.inspection import Inspection, inspect
from app.store.store import Store
from app.store.vault import WrongKey
from tests.store.behind import execute


async def test_looking_makes_nothing(new_settings: Settings) -> None:
    """A database that is not there stays away, and no table is made in an empty one."""
    assert await inspect(new_settings) == Inspection(exists=False)
    assert await inspect(new_settings) == Inspection(exists=False)
    assert not new_settings.data_dir.exists()


async def test_an_older_schema_is_told(new_settings: Settings) -> None:
    """Tables of another form are not read any further."""
    new_settings.data_dir.mkdir()
    await execute(new_settings, "CREATE TABLE x (y INTEGER)")
    assert await inspect(new_settings) == Inspection(exists=True)


async def test_a_database_without_secrets_needs_no_key(settings: Settings) -> None:
    """After `db upgrade` nothing is sealed yet, and no key is made by looking."""
    settings = structs.replace(settings, secret_keys=())
    assert await inspect(settings) == Inspection(exists=True, schema_current=True)
    assert not settings.key_file.exists()


async def test_accounts_and_their_damage_are_counted(settings: Settings) -> None:
    """A secret that does not open is found before it is needed."""
    async with Store.open(settings) as store:
        for name in ("a", "b"):
            await store.accounts.add(Enrolment(name=name, access_token=Secret(name)), at=1.0)
    damage = (
        "UPDATE credentials SET access_token = :nothing "
        "WHERE account_id = (SELECT min(id) FROM accounts)"
    )
    await execute(settings, damage, nothing=b"\0")
    assert await inspect(settings) == Inspection(
        exists=True, schema_current=True, accounts=2, damaged=1
    )


async def test_a_wrong_key_is_found_before_the_start(settings: Settings) -> None:
    """The same judgement as at a start, without one."""
    async with Store.open(settings):
        pass
    with pytest.raises(WrongKey):
        await inspect(structs.replace(settings, secret_keys=("n" * 32,)))
