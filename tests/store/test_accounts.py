"""Tests of app.store.accounts."""

import pytest
from msgspec import structs
from sqlalchemy import insert

from app.domain.account import AccountId, AccountKind, Secret
from app.domain.enrolment import AccountChanges, AccountEvent, Enrolment, Identity
from app.errors import InvalidRequest
from app.settings import Settings
from app.store.accounts import TooManyAccounts
from app.store.store import Store
from app.store.tables import account_events
from tests.store.behind import everything, execute

NEW = Enrolment(
    name="a",
    access_token=Secret("access-1"),
    refresh_token=Secret("refresh-1"),
    id_token=Secret("id-1"),
    expires_at=1_000.0,
    chatgpt_user_id="u",
    chatgpt_account_id="w",
    email="a@example.com",
    plan="plus",
    fedramp=True,
    proxy_url=Secret("http://proxy-user:proxy-word@proxy:1"),
    priority=2,
    concurrency_max=3,
    models=("gpt-5",),
    model_map={"gpt-5": "own"},
    organization="org-1",
    project="proj-1",
    groups=("team-a", "team-b"),
    tags=("eu",),
    pause_at=0.9,
)
GONE = AccountId("gone")


async def test_an_account_comes_back_as_it_was_added(store: Store) -> None:
    """Every field survives the row, the credential without its refresh token."""
    added = await store.accounts.add(NEW, at=10.0)
    (account,) = await store.accounts.list()
    assert added.created
    assert added.account == account
    for name in ("name", "kind", "chatgpt_account_id", "email", "plan", "fedramp", "proxy_url",
                 "enabled", "priority", "concurrency_max", "models", "groups", "tags",
                 "pause_at", "model_map", "organization", "project"):  # fmt: skip
        assert getattr(account, name) == getattr(NEW, name)
    assert account.credential.access_token == Secret("access-1")
    assert (account.credential.expires_at, account.credential.renewable) == (1_000.0, True)


async def test_no_secret_stands_in_any_row(store: Store, settings: Settings) -> None:
    """A stolen database gives no token, no proxy password and no key."""
    await store.accounts.add(NEW, at=10.0)
    made = await store.keys.create(name="k", at=1.0)
    secret = made.key.reveal().split("-", 3)[-1]
    stolen = await everything(settings)
    assert b"a@example.com" in stolen
    for plain in ("access-1", "refresh-1", "id-1", "proxy-word", secret):
        assert plain.encode() not in stolen


async def test_an_account_with_a_refresh_token_only_is_due_at_once(store: Store) -> None:
    """Its access token is empty and has ended, so the renewer takes it first."""
    new = Enrolment(name="r", refresh_token=Secret("r"))
    credential = (await store.accounts.add(new, at=1.0)).account.credential
    assert not credential.access_token
    assert (credential.expires_at, credential.renewable) == (0.0, True)


@pytest.mark.parametrize(
    ("again", "kept"),
    [
        ({"expires_at": 999.0}, True),
        ({"expires_at": 1_001.0}, False),
        ({"expires_at": None}, True),
        ({"refresh_token": None, "expires_at": 9_999.0}, True),
    ],
)
async def test_the_fresher_credential_wins(store: Store, again, kept) -> None:
    """Importing an old file never overwrites a token that was rotated since."""
    first = await store.accounts.add(NEW, at=1.0)
    new = structs.replace(NEW, access_token=Secret("access-2"), groups=("new",), **again)
    added = await store.accounts.add(new, at=2.0)
    assert not added.created
    assert added.account.groups == NEW.groups
    assert added.credential_kept is kept
    assert added.account.id == first.account.id
    assert added.account.credential.access_token == Secret("access-1" if kept else "access-2")
    assert added.account.credential.generation == (0 if kept else 1)


async def test_a_renewable_credential_replaces_one_that_is_not(store: Store) -> None:
    """An account that was added by its access token gets its refresh token later."""
    await store.accounts.add(structs.replace(NEW, refresh_token=None), at=1.0)
    added = await store.accounts.add(structs.replace(NEW, expires_at=1.0), at=2.0)
    assert added.account.credential.renewable


async def test_a_dead_credential_is_always_replaced(store: Store) -> None:
    """Logging in again brings an account back, whatever the tokens' ends say."""
    first = await store.accounts.add(NEW, at=1.0)
    await store.credentials.refused(
        first.account.id, generation=0, code="reused", permanent=True, at=2.0
    )
    added = await store.accounts.add(structs.replace(NEW, expires_at=1.0), at=3.0)
    assert not added.credential_kept
    assert added.account.credential.renewable


async def test_many_are_added_in_one_step(store: Store) -> None:
    """An import of a list is one write, with one answer each."""
    key = Enrolment(name="k", kind=AccountKind.OPENAI, access_token=Secret("sk"))
    before = await store.revision()
    added = await store.accounts.add_all([NEW, key, key], at=1.0)
    assert [each.created for each in added] == [True, True, False]
    assert await store.revision() == before + 1


async def test_a_full_store_takes_none_of_an_import(store: Store) -> None:
    """The bound holds, and a part of a list is never added."""
    many = [Enrolment(name=str(n), access_token=Secret(str(n))) for n in range(5)]
    with pytest.raises(TooManyAccounts, match="4"):
        await store.accounts.add_all(many, at=1.0)
    assert await store.accounts.list() == []


async def test_a_change_touches_what_it_names(store: Store) -> None:
    """`UNSET` leaves a field alone, None clears it."""
    account = (await store.accounts.add(NEW, at=1.0)).account
    changes = AccountChanges(enabled=False, proxy_url=None, models=("a", "b"))
    changed = await store.accounts.update(account.id, changes, at=2.0)
    assert changed == structs.replace(account, enabled=False, proxy_url=None, models=("a", "b"))
    again = await store.accounts.update(
        account.id, AccountChanges(proxy_url=Secret("http://p")), at=3.0
    )
    assert again.proxy_url == Secret("http://p")
    assert await store.accounts.update(account.id, AccountChanges(), at=4.0) == again
    assert (await store.accounts.events(account.id))[0].detail == "proxy_url"


async def test_groups_and_tags_have_one_form(store: Store) -> None:
    """Accounts in the same groups have equal values; a name of a wrong form changes nothing."""
    new = structs.replace(NEW, groups=("b ", "a", "b"), tags=())
    account = (await store.accounts.add(new, at=1.0)).account
    assert (account.groups, account.tags) == (("a", "b"), ())
    changes = AccountChanges(groups=(), tags=("y", "x"), pause_at=None, priority=7)
    changed = await store.accounts.update(account.id, changes, at=2.0)
    assert changed == structs.replace(
        account, groups=(), tags=("x", "y"), pause_at=None, priority=7
    )
    with pytest.raises(InvalidRequest, match="tags: 'a,b'"):
        await store.accounts.update(account.id, AccountChanges(name="n", tags=("a,b",)), at=3.0)
    with pytest.raises(InvalidRequest, match="groups: a name must not be empty"):
        await store.accounts.add(structs.replace(NEW, chatgpt_user_id="v", groups=("",)), at=3.0)
    assert await store.accounts.list() == [changed]


async def test_many_are_changed_in_one_step(store: Store) -> None:
    """One write for all of them, an event for each; one that is gone is not counted."""
    ids = [
        (await store.accounts.add(structs.replace(NEW, chatgpt_user_id=user), at=1.0)).account.id
        for user in "ab"
    ]
    before = await store.revision()
    changes = AccountChanges(enabled=False, groups=("x",))
    assert await store.accounts.update_all([*ids, GONE], changes, at=2.0) == 2
    assert await store.revision() == before + 1
    assert {(each.enabled, each.groups) for each in await store.accounts.list()} == {
        (False, ("x",))
    }
    for account_id in ids:
        assert (await store.accounts.events(account_id))[0].detail == "enabled, groups"
    assert await store.accounts.update_all(ids, AccountChanges(), at=3.0) == 0


async def test_the_latest_events_of_every_account_come_at_once(store: Store) -> None:
    """Newest first, so many of each account, whole."""
    a = (await store.accounts.add(NEW, at=1.0)).account.id
    b = (await store.accounts.add(structs.replace(NEW, chatgpt_user_id="v"), at=2.0)).account.id
    for n in range(3):
        await store.accounts.update(a, AccountChanges(priority=n), at=10.0 + n)
    async with store._database.write() as connection:
        row = {"account_id": b, "at": 20.0, "kind": "k", "detail": "d", "code": "c",
               "next_at": 30.0, "count": 3}  # fmt: skip
        await connection.execute(insert(account_events).values(row))
    latest = await store.accounts.latest_events(limit=2)
    assert latest == {
        a: [AccountEvent(12.0, "changed", "priority"), AccountEvent(11.0, "changed", "priority")],
        b: [AccountEvent(20.0, "k", "d", "c", 30.0, 3), AccountEvent(2.0, "added", "")],
    }
    assert list(await store.accounts.events(b)) == latest[b]


async def test_what_is_not_there_is_told(store: Store) -> None:
    """Every question about an account that is gone has a quiet answer."""
    assert await store.accounts.update(GONE, AccountChanges(name="x"), at=1.0) is None
    assert await store.accounts.update(GONE, AccountChanges(), at=1.0) is None
    assert await store.accounts.account(GONE) is None
    assert await store.accounts.export(GONE, at=1.0) is None
    assert await store.accounts.delete(GONE) is False
    assert await store.accounts.identify(GONE, Identity("u", "w"), at=1.0) is None
    assert await store.accounts.events(GONE) == []


async def test_deleting_takes_everything_along(store: Store) -> None:
    """No credential is left behind, and none of its events."""
    account = (await store.accounts.add(NEW, at=1.0)).account
    assert await store.accounts.delete(account.id)
    assert await store.credentials.refresh_token(account.id) is None
    assert await store.accounts.events(account.id) == []


async def test_an_account_learns_who_it_is(store: Store) -> None:
    """After its first renewal a later import finds it by its ids."""
    account = (
        await store.accounts.add(Enrolment(name="r", refresh_token=Secret("r")), at=1.0)
    ).account
    who = Identity("u", "w", email="new@example.com", fedramp=True)
    known = await store.accounts.identify(account.id, who, at=2.0)
    assert (known.chatgpt_account_id, known.email, known.plan) == ("w", "new@example.com", None)
    assert not (await store.accounts.add(NEW, at=3.0)).created


async def test_two_rows_of_one_account_become_one(store: Store) -> None:
    """The row that was there takes over the newer credential and keeps what its operator chose."""
    old = (await store.accounts.add(NEW, at=1.0)).account
    new = Enrolment(
        name="r", access_token=Secret("access-9"), refresh_token=Secret("refresh-9"), expires_at=9.0
    )
    young = (await store.accounts.add(new, at=2.0)).account
    await store.accounts.update(
        young.id, AccountChanges(groups=("other",), tags=("other",), priority=9), at=2.5
    )
    merged = await store.accounts.identify(young.id, Identity("u", "w", plan="pro"), at=3.0)
    for name in ("groups", "tags", "priority", "pause_at"):
        assert getattr(merged, name) == getattr(NEW, name)
    assert (merged.id, merged.name, merged.plan) == (old.id, "a", "pro")
    assert merged.credential.access_token == Secret("access-9")
    assert await store.credentials.refresh_token(old.id) == (Secret("refresh-9"), 1)
    assert [account.id for account in await store.accounts.accounts()] == [old.id]


async def test_an_export_has_all_tokens_and_leaves_an_event(store: Store) -> None:
    """What leaves the store is on record."""
    account = (await store.accounts.add(NEW, at=1.0)).account
    assert await store.accounts.export(account.id, at=2.0) == {
        "access_token": Secret("access-1"),
        "refresh_token": Secret("refresh-1"),
        "id_token": Secret("id-1"),
    }
    assert (await store.accounts.events(account.id))[0].kind == "exported"


async def test_rows_that_were_swapped_do_not_open(store: Store, settings: Settings) -> None:
    """A token that was moved to another account's row never serves; that account is damaged."""
    await store.accounts.add(NEW, at=1.0)
    second = Enrolment(name="b", access_token=Secret("b"), refresh_token=Secret("rb"))
    await store.accounts.add(second, at=2.0)
    await execute(
        settings,
        "UPDATE credentials SET access_token = (SELECT access_token FROM credentials "
        "JOIN accounts ON accounts.id = account_id WHERE name = 'a')",
    )
    found = await store.accounts.details()
    assert [each.damaged for each in found] == [False, True]
    assert [each.account.enabled for each in found] == [True, False]
    assert not found[1].account.credential.renewable


async def test_a_damaged_account_is_mended_by_adding_it_again(
    store: Store, settings: Settings
) -> None:
    """Its new secrets replace all that did not open."""
    account = (await store.accounts.add(NEW, at=1.0)).account
    await execute(settings, "UPDATE accounts SET proxy_url = :nothing", nothing=b"\0")
    assert (await store.accounts.find(account.id)).damaged
    added = await store.accounts.add(structs.replace(NEW, expires_at=1.0), at=2.0)
    assert added.account.enabled
    assert added.account.proxy_url == NEW.proxy_url


async def test_a_credential_that_was_issued_now_replaces_any(store: Store) -> None:
    """A login counts, whatever the ends of the two credentials say."""
    first = await store.accounts.add(NEW, at=1.0)
    again = structs.replace(NEW, access_token=Secret("again"), expires_at=None)
    assert (await store.accounts.add(again, at=2.0)).credential_kept
    added = await store.accounts.add(again, at=2.0, issued_now=True)
    assert (added.account.id, added.credential_kept) == (first.account.id, False)
    assert added.account.credential.access_token == Secret("again")


async def test_a_server_without_a_key_is_ready_at_once_and_known_by_its_address(store) -> None:
    """It waits for no renewal; another address is another account, the same one is not."""
    server = Enrolment(name="s", kind=AccountKind.COMPATIBLE, base_url="http://ollama:11434/v1")
    added = await store.accounts.add(server, at=10.0)
    credential = added.account.credential
    assert (credential.expires_at, credential.renewable) == (None, False)
    assert not (await store.accounts.add(server, at=11.0)).created
    elsewhere = structs.replace(server, base_url="http://other:11434/v1")
    assert (await store.accounts.add(elsewhere, at=12.0)).created
    with pytest.raises(InvalidRequest):
        await store.accounts.add(structs.replace(server, base_url=None), at=13.0)


async def test_names_of_models_and_who_is_charged_can_be_changed(store) -> None:
    """A mapping is replaced as a whole."""
    added = await store.accounts.add(NEW, at=10.0)
    changes = AccountChanges(model_map={"a": "b"}, organization=None, project="proj-2")
    changed = await store.accounts.update(added.account.id, changes, at=11.0)
    assert changed is not None
    assert (changed.model_map, changed.organization, changed.project) == (
        {"a": "b"}, None, "proj-2",
    )  # fmt: skip
