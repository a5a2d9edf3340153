"""Tests of app.store.vault."""

import sqlite3

import pytest
from msgspec import structs

from app.domain.account import Secret
from app.domain.enrolment import Enrolment
from app.settings import Settings
from app.store.store import Store
from app.store.vault import WrongKey

OLD, NEW = "o" * 32, "n" * 32


def execute(settings: Settings, statement: str) -> None:
    """Change the database behind the store's back."""
    connection = sqlite3.connect(settings.sqlite_path)
    with connection:
        connection.execute(statement)
    connection.close()


async def opened(settings: Settings) -> str:
    """Open and close the store; return its keyring for people."""
    async with Store.open(settings) as store:
        return repr(store._vault.keyring)


async def test_the_first_start_makes_a_private_key_file(settings: Settings) -> None:
    """It is 0600, and the next start uses it."""
    first = await opened(settings)
    assert settings.key_file.stat().st_mode & 0o777 == 0o600
    content = settings.key_file.read_text()
    assert await opened(settings) == first
    assert settings.key_file.read_text() == content


async def test_a_key_from_the_environment_makes_no_file(settings: Settings) -> None:
    """Who brings a key keeps it."""
    await opened(structs.replace(settings, secret_keys=(NEW,)))
    assert not settings.key_file.exists()


async def test_a_lost_key_file_is_never_replaced(settings: Settings) -> None:
    """A new key would open nothing and hide that the old one is gone."""
    await opened(settings)
    settings.key_file.unlink()
    with pytest.raises(WrongKey, match="No new key is made"):
        await opened(settings)
    assert not settings.key_file.exists()


async def test_a_wrong_key_refuses_to_start_and_changes_nothing(settings: Settings) -> None:
    """The message says which names are at odds; the right key still works after."""
    await opened(structs.replace(settings, secret_keys=(OLD,)))
    before = settings.sqlite_path.read_bytes()
    with pytest.raises(WrongKey, match="CODEX_SECRET_KEY"):
        await opened(structs.replace(settings, secret_keys=(NEW,)))
    assert settings.sqlite_path.read_bytes() == before
    assert not settings.key_file.exists()
    await opened(structs.replace(settings, secret_keys=(OLD,)))


async def test_a_key_file_that_is_not_used_is_pointed_out(settings: Settings) -> None:
    """Whoever sets a variable over an old key file is told that the file is there."""
    await opened(settings)
    with pytest.raises(WrongKey, match=str(settings.key_file)):
        await opened(structs.replace(settings, secret_keys=(NEW,)))


async def test_a_keyring_opens_what_its_older_key_sealed(settings: Settings) -> None:
    """The new key stands first, the old one stays until it is needed no more."""
    await opened(structs.replace(settings, secret_keys=(OLD,)))
    async with Store.open(structs.replace(settings, secret_keys=(NEW, OLD))) as store:
        await store.accounts.add(Enrolment(name="a", access_token=Secret("t")), at=1.0)
        assert (await store.accounts.list())[0].credential.access_token == Secret("t")


async def test_a_key_file_with_wide_permissions_is_closed(settings: Settings) -> None:
    """A restored backup often has the wrong mode."""
    await opened(settings)
    settings.key_file.chmod(0o644)
    await opened(settings)
    assert settings.key_file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", ["", "short", "ü" * 40])
async def test_a_key_file_without_a_key_is_refused(settings: Settings, content: str) -> None:
    """A damaged key file is never overwritten, not even on an empty database."""
    settings.data_dir.mkdir()
    settings.key_file.write_text(content)
    with pytest.raises(WrongKey, match="key file"):
        await opened(settings)
    assert settings.key_file.read_text() == content


async def test_a_key_file_that_cannot_be_made_is_explained(settings: Settings) -> None:
    """The remedy is another folder or a variable."""
    settings.data_dir.mkdir()
    settings.key_file.symlink_to("/there/is/no/folder")
    with pytest.raises(WrongKey, match="CODEX_SECRET_KEY"):
        await opened(settings)


async def test_secrets_without_a_sentinel_are_refused(settings: Settings) -> None:
    """Without the proof a wrong key would be taken, so nothing is guessed."""
    await opened(settings)
    execute(settings, "DELETE FROM sealed WHERE id = 'sentinel'")
    with pytest.raises(WrongKey, match="proves their key is gone"):
        await opened(settings)


async def test_a_lost_pepper_is_refused(settings: Settings) -> None:
    """A new pepper would make every caller's key unknown."""
    await opened(settings)
    execute(settings, "DELETE FROM sealed WHERE id != 'sentinel'")
    with pytest.raises(WrongKey, match="pepper"):
        await opened(settings)
