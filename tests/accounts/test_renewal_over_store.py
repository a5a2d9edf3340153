"""The renewer and the real store together: rows that turn out to be one account, and events."""

import asyncio
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest
from msgspec import json

from app.accounts.enrolment import whose
from app.domain.account import Secret
from app.domain.enrolment import Enrolment
from app.ports import RenewalRefused, RenewalUnsent
from app.settings import Settings
from app.store.store import Store
from tests.accounts.world import World

WHO = {"chatgpt_user_id": "u", "chatgpt_account_id": "w"}
TOKEN = "x." + urlsafe_b64encode(json.encode({"https://api.openai.com/auth": WHO})).decode() + ".y"


@pytest.fixture
async def stored(tmp_path: Path):
    """A world whose renewer has the real store."""
    async with Store.open(Settings(data_dir=tmp_path), whose=whose) as store:
        world = World()
        world.store = store
        world.make_over(store.credentials, store.accounts)
        yield world


async def until(world, look):
    """Let virtual time go on, and real time for the database, until `look` finds something."""
    for _ in range(2_000):
        found = await look()
        if found:
            return found
        await world.clock.advance(0.1)
        await asyncio.sleep(0.001)
    raise AssertionError("in vain")


async def added(world, name):
    """Store a bare refresh token."""
    new = Enrolment(name=name, refresh_token=Secret(world.server.current(name)))
    return (await world.store.accounts.add(new, at=world.clock.now())).account


async def test_two_rows_that_are_one_account_become_one(stored):
    """The one that is known first stays, with the credential of the other, and goes on."""
    stored.server.access_token = lambda *_: TOKEN
    rows = {f"rt-{name}-0": await added(stored, name) for name in ("one", "two")}
    await stored.start()

    async def merged():
        rows = await stored.store.accounts.list()
        return len(rows) == 1 and len(stored.server.seen) == 2 and rows

    [left] = await until(stored, merged)
    first, second = (rows[token] for _, token in stored.server.seen)
    assert left.id == first.id
    assert (left.chatgpt_account_id, left.credential.renewable) == ("w", True)
    await until(stored, lambda: asyncio.sleep(0, stored.renewed))
    kinds = [event.kind for event in await stored.store.accounts.events(left.id)]
    assert kinds == ["merged", "renewed", "added"]
    again = await stored.renewer.renew_now(second.id, generation=0)
    assert again is None
    await stored.stop()


async def test_every_attempt_is_a_row(stored):
    """With its code and the next try; a row for each kind of end, and one for repetitions."""
    stored.server.before = [
        RenewalUnsent("no route"),
        RenewalUnsent("no route"),
        RenewalRefused("http_503", "busy", permanent=False, retry_after_s=40.0),
        RenewalRefused("invalid_grant", "dead", permanent=True),
    ]
    account = await added(stored, "one")
    await stored.start()

    async def dead():
        [found] = await stored.store.accounts.details()
        told = await stored.store.accounts.events(account.id)
        return told if found.dead and told[0].code == "invalid_grant" else None

    told = await until(stored, dead)
    assert [(event.kind, event.code, event.count) for event in told] == [
        ("renewal_refused", "invalid_grant", 1),
        ("renewal_refused", "http_503", 1),
        ("renewal_postponed", "unsent", 2),
        ("added", None, 1),
    ]
    assert told[0].next_at is None
    assert told[1].next_at >= told[1].at + 40.0 - 1.0
    await stored.stop()
