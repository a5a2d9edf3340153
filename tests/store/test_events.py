"""Tests of app.store.events: what the tests of its users do not show."""

import pytest

from app.domain.account import Secret
from app.domain.enrolment import Enrolment
from app.ports import RenewalEvent, RenewalKind
from app.store import events
from app.store.store import Store


async def test_one_pass_deletes_a_bounded_number(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest go first, over all accounts, and the rest in later passes."""
    monkeypatch.setattr(events, "PRUNED_MAX", 3)
    ids = []
    for name in ("a", "b"):
        new = Enrolment(name=name, refresh_token=Secret(name))
        ids.append((await store.accounts.add(new, at=1.0)).account.id)
        for number in range(3):
            event = RenewalEvent(RenewalKind.REFUSED, 10.0 + number, f"code-{number}")
            await store.credentials.remember(ids[-1], event)
    at = 1_000.0 + events.EVENTS_AGE_S
    assert await store.credentials.forget_events(at=at) == 3
    assert [len(await store.accounts.events(one)) for one in ids] == [2, 3]
    passes = [await store.credentials.forget_events(at=at) for _ in range(3)]
    assert passes == [3, 2, 0]


async def test_details_are_cut(store: Store) -> None:
    """An event is a line for people, however long its cause is."""
    new = Enrolment(name="a", access_token=Secret("t"))
    account = (await store.accounts.add(new, at=1.0)).account
    async with store.credentials._database.write() as connection:
        await events.note(connection, account.id, "changed", "x" * 9_000, at=2.0, events_max=5)
    newest = (await store.accounts.events(account.id))[0]
    assert (len(newest.detail), newest.code) == (events.DETAIL_CHARS_MAX, None)
