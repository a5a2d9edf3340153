"""Tests of app.store.rotation."""

import asyncio

import pytest

from app.domain.account import Secret
from app.ports import Tokens
from app.settings import Settings
from app.store import rotation
from app.store.keyring import Keyring, SealBroken
from app.store.rotation import UNREADABLE, Rotation, count, rotate, rows
from app.store.store import Store, database_of
from app.store.vault import WrongKey
from tests.store.behind import execute
from tests.store.full import fill, opens, with_keys

OLD, NEW, OTHER = "o" * 32, "n" * 32, "x" * 32
(OLD_KID, NEW_KID) = (Keyring([each]).kids[0] for each in (OLD, NEW))


class Interrupted(BaseException):
    """What a Ctrl-C or a kill is to a rotation."""


def nobody(_rows: int) -> None:
    """Hear of nothing."""


async def rotated(settings: Settings, *keys: str, done=nobody) -> Rotation:
    """Rotate to the first of `keys`."""
    database = database_of(settings)
    try:
        return await rotate(database, Keyring(keys), done=done)
    finally:
        await database.close()


async def counted(settings: Settings) -> dict[str, int]:
    """Count the records by their keys."""
    database = database_of(settings)
    try:
        return await count(database)
    finally:
        await database.close()


@pytest.fixture
async def filled(settings: Settings) -> Settings:
    """A database whose secrets the old key has sealed: 9 in accounts, a pepper and the sentinel."""
    settings = with_keys(settings, OLD)
    await fill(settings)
    return settings


async def test_everything_is_sealed_with_the_first_key(filled: Settings) -> None:
    """Afterwards the old key is not needed for anything; a second time there is nothing to do."""
    assert await counted(filled) == {OLD_KID: 11}
    heard: list[int] = []
    assert await rotated(filled, NEW, OLD, done=heard.append) == Rotation(11, [], complete=True)
    database = database_of(filled)
    assert sum(heard) == await rows(database) == 8
    await database.close()
    assert await counted(filled) == {NEW_KID: 11}
    await opens(with_keys(filled, NEW))
    assert await rotated(filled, NEW, OLD) == Rotation(0, [], complete=True)


async def test_an_interrupted_rotation_goes_on(
    filled: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is done is not done again; until the end the old key is needed to start."""
    monkeypatch.setattr(rotation, "BATCH_ROWS", 2)

    def interrupt(_rows: int) -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        await rotated(filled, NEW, OLD, done=interrupt)
    assert await counted(filled) == {NEW_KID: 4, OLD_KID: 7}
    with pytest.raises(WrongKey, match=f"key {OLD_KID}, which is not in the keyring"):
        async with Store.open(with_keys(filled, NEW)):
            pytest.fail("it was opened")
    await opens(with_keys(filled, NEW, OLD))
    assert (await rotated(filled, NEW, OLD)).resealed >= 7
    await opens(with_keys(filled, NEW))


async def renew(gateway: Store, account_id: str, token: str) -> None:
    """Renew a credential as a gateway does."""
    _, generation = await gateway.credentials.refresh_token(account_id)
    tokens = Tokens(
        access_token=Secret("new"), refresh_token=Secret(token), id_token=None, expires_at=9.0
    )
    stored = await gateway.credentials.renewed(account_id, tokens, generation=generation, at=3.0)
    assert stored is not None


async def test_renewals_meanwhile_are_not_lost(
    filled: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway that seals with the old key wins each row, and the rotation comes back for it."""
    monkeypatch.setattr(rotation, "BATCH_ROWS", 1)
    async with Store.open(with_keys(filled, OLD, NEW)) as gateway:
        accounts = [each.id for each in await gateway.accounts.list()]

        async def renew_all() -> None:
            for turn in range(4):
                for account_id in accounts:
                    await renew(gateway, account_id, f"token {turn}")

        await asyncio.gather(renew_all(), rotated(filled, NEW, OLD))
    assert (await rotated(filled, NEW, OLD)).complete
    async with Store.open(with_keys(filled, NEW)) as store:
        for account_id in accounts:
            token, _ = await store.credentials.refresh_token(account_id)
            assert token.reveal() == "token 3"


async def test_while_a_gateway_seals_with_the_old_key_it_is_needed(
    filled: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each row that was written between its reading and its writing is left as it is."""
    page = rotation._page
    async with Store.open(with_keys(filled, OLD, NEW)) as gateway:
        account_id = (await gateway.accounts.list())[0].id

        async def overtaken_page(database, each, after):
            rows = await page(database, each, after)
            if each.table.name == "credentials" and after is None:
                await renew(gateway, account_id, "newest")
            return rows

        monkeypatch.setattr(rotation, "_page", overtaken_page)
        assert not (await rotated(filled, NEW, OLD)).complete
        token, _ = await gateway.credentials.refresh_token(account_id)
        assert token.reveal() == "newest"
    monkeypatch.undo()
    with pytest.raises(WrongKey, match=OLD_KID):
        async with Store.open(with_keys(filled, NEW)):
            pytest.fail("it was opened")


async def test_what_does_not_open_is_named_and_left(filled: Settings) -> None:
    """It holds nothing up: no key of the ring would open it tomorrow either."""
    await execute(filled, "UPDATE accounts SET proxy_url = :x WHERE name LIKE '%1'", x=b"no record")
    stranger = Keyring([OTHER])
    place = rotation.Place("accounts", "a", "proxy_url")
    record = stranger.seal(Secret("s"), place)
    await execute(filled, "UPDATE accounts SET proxy_url = :x WHERE name LIKE '%2'", x=record)
    done = await rotated(filled, NEW, OLD)
    assert (done.resealed, done.complete, len(done.broken)) == (9, True, 2)
    assert any(stranger.kids[0] in each for each in done.broken)
    assert await counted(filled) == {NEW_KID: 9, UNREADABLE: 1, stranger.kids[0]: 1}
    with pytest.raises(SealBroken):
        stranger.open(record, rotation.Place("accounts", "b", "proxy_url"))
