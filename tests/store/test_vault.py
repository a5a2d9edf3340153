"""Tests of app.store.vault."""

import pytest
from msgspec import structs

from app.domain.account import Secret
from app.domain.enrolment import Enrolment
from app.settings import Settings
from app.store.store import Store
from app.store.vault import WrongKey
from tests.store.behind import everything, execute

OLD, NEW = "o" * 32, "n" * 32


async def opened(settings: Settings) -> str:
    """Open and close the store; return its keyring for people."""
    async with Store.open(settings) as store:
        return repr(store._vault.keyring)


async def test_the_first_start_makes_a_private_key_file(new_sqlite_settings: Settings) -> None:
    """It is 0600, and the next start uses it."""
    first = await opened(new_sqlite_settings)
    assert new_sqlite_settings.key_file.stat().st_mode & 0o777 == 0o600
    content = new_sqlite_settings.key_file.read_text()
    assert await opened(new_sqlite_settings) == first
    assert new_sqlite_settings.key_file.read_text() == content


async def test_a_key_from_the_environment_makes_no_file(settings: Settings) -> None:
    """Who brings a key keeps it."""
    await opened(structs.replace(settings, secret_keys=(NEW,)))
    assert not settings.key_file.exists()


async def test_a_lost_key_file_is_never_replaced(new_sqlite_settings: Settings) -> None:
    """A new key would open nothing and hide that the old one is gone."""
    await opened(new_sqlite_settings)
    new_sqlite_settings.key_file.unlink()
    with pytest.raises(WrongKey, match="No new key is made"):
        await opened(new_sqlite_settings)
    assert not new_sqlite_settings.key_file.exists()


async def test_a_wrong_key_refuses_to_start_and_changes_nothing(settings: Settings) -> None:
    """The message says which names are at odds; the right key still works after."""
    await opened(structs.replace(settings, secret_keys=(OLD,)))
    before = await everything(settings)
    with pytest.raises(WrongKey, match="CODEX_SECRET_KEY"):
        await opened(structs.replace(settings, secret_keys=(NEW,)))
    assert await everything(settings) == before
    assert not settings.key_file.exists()
    await opened(structs.replace(settings, secret_keys=(OLD,)))


async def test_a_key_file_that_is_not_used_is_pointed_out(new_sqlite_settings: Settings) -> None:
    """Whoever sets a variable over an old key file is told that the file is there."""
    await opened(new_sqlite_settings)
    with pytest.raises(WrongKey, match=str(new_sqlite_settings.key_file)):
        await opened(structs.replace(new_sqlite_settings, secret_keys=(NEW,)))


async def test_a_keyring_opens_what_its_older_key_sealed(settings: Settings) -> None:
    """The new key stands first, the old one stays until it is needed no more."""
    await opened(structs.replace(settings, secret_keys=(OLD,)))
    async with Store.open(structs.replace(settings, secret_keys=(NEW, OLD))) as store:
        await store.accounts.add(Enrolment(name="a", access_token=Secret("t")), at=1.0)
        assert (await store.accounts.list())[0].credential.access_token == Secret("t")


async def test_a_key_file_with_wide_permissions_is_closed(new_sqlite_settings: Settings) -> None:
    """A restored backup often has the wrong mode."""
    await opened(new_sqlite_settings)
    new_sqlite_settings.key_file.chmod(0o644)
    await opened(new_sqlite_settings)
    assert new_sqlite_settings.key_file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", ["", "short", "ü" * 40])
async def test_a_key_file_without_a_key_is_refused(
    new_sqlite_settings: Settings, content: str
) -> None:
    """A damaged key file is never overwritten, not even on an empty database."""
    new_sqlite_settings.data_dir.mkdir()
    new_sqlite_settings.key_file.write_text(content)
    with pytest.raises(WrongKey, match="key file"):
        await opened(new_sqlite_settings)
    assert new_sqlite_settings.key_file.read_text() == content


async def test_a_key_file_that_cannot_be_made_is_explained(new_sqlite_settings: Settings) -> None:
    """The remedy is another folder or a variable."""
    new_sqlite_settings.data_dir.mkdir()
    new_sqlite_settings.key_file.symlink_to("/there/is/no/folder")
    with pytest.raises(WrongKey, match="CODEX_SECRET_KEY"):
        await opened(new_sqlite_settings)


async def test_secrets_without_a_sentinel_are_refused(settings: Settings) -> None:
    """Without the proof a wrong key would be taken, so nothing is guessed."""
    await opened(settings)
    await execute(settings, "DELETE FROM sealed WHERE id = 'sentinel'")
    with pytest.raises(WrongKey, match="proves their key is gone"):
        await opened(settings)


async def test_a_lost_pepper_is_refused(settings: Settings) -> None:
    """A new pepper would make every caller's key unknown."""
    await opened(settings)
    await execute(settings, "DELETE FROM sealed WHERE id != 'sentinel'")
    with pytest.raises(WrongKey, match="pepper"):
        await opened(settings)
