"""Tests of app.store.store."""

from app.domain.account import Secret
from app.domain.enrolment import Enrolment
from app.domain.runtime import RuntimeSettings
from app.settings import Settings
from app.store.store import Store


async def test_another_process_sees_that_something_changed(
    store: Store, settings: Settings
) -> None:
    """Every write that others must see moves the revision by one, in any process."""
    async with Store.open(settings) as other:
        seen = [await other.revision()]
        account = (
            await store.accounts.add(Enrolment(name="a", refresh_token=Secret("r")), at=1.0)
        ).account
        seen.append(await other.revision())
        key = await store.keys.create(name="k", at=1.0)
        seen.append(await other.revision())
        await store.settings.save(RuntimeSettings(), at=1.0)
        seen.append(await other.revision())
        await store.keys.revoke(key.caller.id, at=2.0)
        seen.append(await other.revision())
        assert [number - seen[0] for number in seen] == [0, 1, 2, 3, 4]
        await store.credentials.intend(account.id, generation=0, at=1.0)
        assert await other.revision() == seen[-1]


async def test_what_was_stored_is_there_after_a_restart(settings: Settings) -> None:
    """Accounts, keys and settings outlive the process; keys are judged as before."""
    async with Store.open(settings) as store:
        account = (
            await store.accounts.add(Enrolment(name="a", refresh_token=Secret("r")), at=1.0)
        ).account
        key = await store.keys.create(name="k", at=1.0)
    async with Store.open(settings) as store:
        assert await store.accounts.list() == [account]
        book = store.key_book()
        book.replace(await store.keys.list())
        assert book.find(key.key.reveal()) == key.caller
