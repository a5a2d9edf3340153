"""Tests of app.store.credentials."""

import pytest
from msgspec import structs

from app.domain.account import AccountId, AccountKind, Secret
from app.domain.enrolment import Enrolment, Identity, StoredAccount
from app.ports import CredentialStore, RenewalEvent, RenewalKind, Tokens
from app.settings import Settings
from app.store.credentials import INTENT_LIFE_S
from app.store.events import CODE_CHARS_MAX, EVENTS_AGE_S
from app.store.keyring import SealBroken
from app.store.store import Store
from tests.store.behind import execute

NOTHING = Tokens(access_token=None, refresh_token=None, id_token=None, expires_at=None)
ALL = Tokens(Secret("access-2"), Secret("refresh-2"), Secret("id-2"), 2_000.0)


def refusal(code: str, *, at: float, next_at: float | None = None) -> RenewalEvent:
    """Return the event of a renewal that was refused."""
    return RenewalEvent(RenewalKind.REFUSED, at, code, next_at)


@pytest.fixture
async def account_id(store: Store) -> AccountId:
    """One account with all three tokens."""
    new = Enrolment(
        name="a",
        access_token=Secret("access-1"),
        refresh_token=Secret("refresh-1"),
        id_token=Secret("id-1"),
        expires_at=1_000.0,
    )
    return (await store.accounts.add(new, at=1.0)).account.id


async def test_it_is_what_the_renewer_needs(store: Store) -> None:
    """The store satisfies the port; the type checker sees it here."""
    credentials: CredentialStore = store.credentials
    assert await credentials.refresh_token(AccountId("gone")) is None


async def test_a_renewal_raises_the_generation(store: Store, account_id: AccountId) -> None:
    """What was bought is stored as the next generation, and returned."""
    account = await store.credentials.renewed(account_id, ALL, generation=0, at=5.0)
    assert account.credential.access_token == Secret("access-2")
    assert (account.credential.generation, account.credential.expires_at) == (1, 2_000.0)
    assert await store.credentials.refresh_token(account_id) == (Secret("refresh-2"), 1)


async def test_what_the_server_left_out_is_kept(store: Store, account_id: AccountId) -> None:
    """An empty answer changes the generation only."""
    account = await store.credentials.renewed(account_id, NOTHING, generation=0, at=5.0)
    assert account.credential.access_token == Secret("access-1")
    assert account.credential.expires_at == 1_000.0
    assert await store.credentials.refresh_token(account_id) == (Secret("refresh-1"), 1)


async def test_a_renewal_tells_who_the_account_is(settings: Settings) -> None:
    """An account that came as a bare refresh token can serve after its first renewal."""
    who = Identity("u", "w", email="a@example.com", plan="plus")
    async with Store.open(settings, whose=lambda _: who) as store:
        new = Enrolment(name="r", refresh_token=Secret("r"))
        account_id = (await store.accounts.add(new, at=1.0)).account.id
        account = await store.credentials.renewed(account_id, ALL, generation=0, at=2.0)
        assert (account.chatgpt_account_id, account.plan) == ("w", "plus")
        known = structs.replace(
            new, access_token=Secret("a"), chatgpt_user_id="u", chatgpt_account_id="w"
        )
        assert not (await store.accounts.add(known, at=3.0)).created


async def test_a_renewal_keeps_twins_apart(settings: Settings) -> None:
    """Both rows serve until they are merged; neither credential is lost on the way."""
    who = Identity("u", "w")
    async with Store.open(settings, whose=lambda _: who) as store:
        ids = []
        for name in ("one", "two"):
            new = Enrolment(name=name, refresh_token=Secret(name))
            ids.append((await store.accounts.add(new, at=1.0)).account.id)
            account = await store.credentials.renewed(ids[-1], ALL, generation=0, at=2.0)
            assert (account.id, account.chatgpt_account_id) == (ids[-1], "w")
        await store.accounts.identify(ids[1], who, at=3.0)
        assert [account.id for account in await store.accounts.list()] == ids[:1]


async def test_of_two_renewals_the_first_is_heard(store: Store, account_id: AccountId) -> None:
    """A stale holder's write is refused and changes nothing."""
    await store.credentials.renewed(account_id, ALL, generation=0, at=5.0)
    late = Tokens(Secret("late"), Secret("late"), None, 1.0)
    assert await store.credentials.renewed(account_id, late, generation=0, at=6.0) is None
    assert await store.credentials.refresh_token(account_id) == (Secret("refresh-2"), 1)
    assert await store.credentials.renewed(AccountId("gone"), late, generation=0, at=6.0) is None


async def test_an_intent_needs_the_current_token(store: Store, account_id: AccountId) -> None:
    """A token that was spent since, or is dead, is not spent again."""
    assert not await store.credentials.intend(account_id, generation=7, at=1.0)
    assert await store.credentials.intend(account_id, generation=0, at=1.0)
    await store.credentials.refused(account_id, generation=0, code="reused", permanent=True, at=2.0)
    assert not await store.credentials.intend(account_id, generation=0, at=3.0)


async def test_an_intent_without_an_end_is_found_after_a_crash(
    store: Store, account_id: AccountId
) -> None:
    """Until it is settled it says which token may be spent; a renewal settles it."""
    await store.credentials.intend(account_id, generation=0, at=4.0)
    assert await store.credentials.intended() == [(account_id, 4.0)]
    await store.credentials.renewed(account_id, ALL, generation=0, at=5.0)
    assert await store.credentials.intended() == []


async def test_two_processes_do_not_spend_one_token(
    store: Store, settings: Settings, account_id: AccountId
) -> None:
    """The intent of one keeps the other away, until it must be given up or is settled."""
    async with Store.open(settings) as other:
        assert await store.credentials.intend(account_id, generation=0, at=100.0)
        assert not await other.credentials.intend(account_id, generation=0, at=101.0)
        assert await store.credentials.intend(account_id, generation=0, at=102.0)
        late = 102.0 + INTENT_LIFE_S
        assert await other.credentials.intend(account_id, generation=0, at=late)
        await other.credentials.refused(
            account_id, generation=0, code="429", permanent=False, at=late
        )
        assert await store.credentials.intend(account_id, generation=0, at=late)


async def test_a_clock_that_was_set_back_blocks_nobody(
    store: Store, settings: Settings, account_id: AccountId
) -> None:
    """An intent from the future has no age that could be waited for."""
    async with Store.open(settings) as other:
        assert await store.credentials.intend(account_id, generation=0, at=1_000_000.0)
        assert await other.credentials.intend(account_id, generation=0, at=1.0)


async def test_a_dead_token_is_not_given_out(store: Store, account_id: AccountId) -> None:
    """A permanent refusal is remembered until the operator says otherwise."""
    await store.credentials.refused(account_id, generation=0, code="reused", permanent=True, at=2.0)
    found = await store.accounts.find(account_id)
    assert (found.dead, found.refused_code) == (True, "reused")
    assert not found.account.credential.renewable
    assert await store.credentials.refresh_token(account_id) is None
    assert await store.credentials.revive(account_id, at=3.0)
    assert await store.credentials.refresh_token(account_id) == (Secret("refresh-1"), 0)
    assert not await store.credentials.revive(AccountId("gone"), at=3.0)


async def test_a_dead_key_is_read_as_one(store: Store, account_id: AccountId) -> None:
    """A login whose refresh token died still has an access token to be used."""
    new = Enrolment(name="k", kind=AccountKind.OPENAI, access_token=Secret("sk-1"))
    key_id = (await store.accounts.add(new, at=1.0)).account.id
    for each in (account_id, key_id):
        await store.credentials.refused(each, generation=0, code="gone", permanent=True, at=2.0)
    refused = {each.account.id: each.account.credential.refused for each in await details(store)}
    assert refused == {account_id: None, key_id: "gone"}
    await store.credentials.revive(key_id, at=3.0)
    assert (await store.accounts.find(key_id)).account.credential.refused is None
    await store.credentials.refused(key_id, generation=0, code="gone", permanent=True, at=4.0)
    again = (await store.accounts.add(new, at=5.0)).account
    assert (again.id, again.credential.generation, again.credential.refused) == (key_id, 1, None)


async def details(store: Store) -> list[StoredAccount]:
    """Return all accounts as they are stored."""
    return list(await store.accounts.details())


async def test_a_passing_refusal_is_only_noted(store: Store, account_id: AccountId) -> None:
    """The token stays good; the next success clears the note."""
    await store.credentials.refused(account_id, generation=0, code="429", permanent=False, at=2.0)
    assert (await store.accounts.find(account_id)).refused_code == "429"
    await store.credentials.renewed(account_id, ALL, generation=0, at=3.0)
    assert (await store.accounts.find(account_id)).refused_code is None
    await store.credentials.refused(
        AccountId("gone"), generation=0, code="429", permanent=False, at=2.0
    )


async def test_an_account_without_a_refresh_token_has_none(store: Store) -> None:
    """An access token alone can't be renewed, so nothing may be intended."""
    new = Enrolment(name="a", access_token=Secret("only"))
    account = (await store.accounts.add(new, at=1.0)).account
    assert await store.credentials.refresh_token(account.id) is None
    assert not await store.credentials.intend(account.id, generation=0, at=1.0)


async def test_events_are_bounded(store: Store, account_id: AccountId) -> None:
    """The newest five of many are kept, as the limit of this store says; long codes are cut."""
    for number in range(8):
        await store.credentials.remember(account_id, refusal(f"{number}" * 600, at=float(number)))
    events = await store.accounts.events(account_id)
    assert [event.at for event in events] == [7.0, 6.0, 5.0, 4.0, 3.0]
    assert {len(event.code) for event in events} == {CODE_CHARS_MAX}


async def test_a_failure_that_repeats_is_one_event(store: Store, account_id: AccountId) -> None:
    """An outage is one row that says when it was last tried, how often, and when again."""
    for number in range(300):
        at = 10.0 + number
        await store.credentials.remember(account_id, refusal("http_503", at=at, next_at=at + 2))
    await store.credentials.remember(account_id, refusal("http_429", at=400.0))
    await store.credentials.remember(account_id, refusal("http_503", at=401.0))
    events = await store.accounts.events(account_id)
    assert [(e.kind, e.code, e.at, e.next_at, e.count) for e in events] == [
        ("renewal_refused", "http_503", 401.0, None, 1),
        ("renewal_refused", "http_429", 400.0, None, 1),
        ("renewal_refused", "http_503", 309.0, 311.0, 300),
        ("added", None, 1.0, None, 1),
    ]


async def test_every_success_is_an_event_of_its_own(store: Store, account_id: AccountId) -> None:
    """It is written with the credential itself, and says when the next renewal is planned."""
    for generation in range(2):
        tokens = structs.replace(ALL, refresh_token=Secret(f"r{generation}"))
        await store.credentials.renewed(
            account_id, tokens, generation=generation, at=5.0, next_at=9.0
        )
    events = await store.accounts.events(account_id)
    assert [(e.kind, e.detail, e.next_at, e.count) for e in events[:2]] == [
        ("renewed", "generation 2", 9.0, 1),
        ("renewed", "generation 1", 9.0, 1),
    ]


async def test_an_event_of_an_account_that_is_gone_is_dropped(store: Store) -> None:
    """It was deleted during the renewal."""
    await store.credentials.remember(AccountId("gone"), refusal("http_503", at=1.0))


async def test_old_events_are_deleted(store: Store, account_id: AccountId) -> None:
    """Whatever they tell of; what is younger than a month stays."""
    await store.credentials.remember(account_id, refusal("http_503", at=500.0))
    assert await store.credentials.forget_events(at=500.0 + EVENTS_AGE_S) == 1
    assert [event.at for event in await store.accounts.events(account_id)] == [500.0]
    assert await store.credentials.forget_events(at=501.0 + EVENTS_AGE_S) == 1
    assert await store.credentials.forget_events(at=1e12) == 0


async def test_an_attempt_that_a_crash_cut_off_is_told_once(
    store: Store, settings: Settings, account_id: AccountId
) -> None:
    """Whoever tries next says so, as nobody else is left to."""
    async with Store.open(settings) as other:
        await store.credentials.intend(account_id, generation=0, at=100.0)
        late = 100.0 + INTENT_LIFE_S
        assert await other.credentials.intend(account_id, generation=0, at=late)
        assert await other.credentials.intend(account_id, generation=0, at=late + 1)
    events = await store.accounts.events(account_id)
    assert [(e.kind, e.code, e.at) for e in events[:-1]] == [
        ("renewal_unknown", "interrupted", 100.0)
    ]


async def test_an_attempt_whose_end_was_told_was_not_cut_off(
    store: Store, settings: Settings, account_id: AccountId
) -> None:
    """Its process wrote that it had no answer, and the intent stayed all the same."""
    async with Store.open(settings) as other:
        await store.credentials.intend(account_id, generation=0, at=100.0)
        unknown = RenewalEvent(RenewalKind.UNKNOWN, 130.0, "unknown", 200.0)
        await store.credentials.remember(account_id, unknown)
        assert await other.credentials.intend(account_id, generation=0, at=100.0 + INTENT_LIFE_S)
    codes = [event.code for event in await store.accounts.events(account_id)]
    assert codes == ["unknown", None]


@pytest.mark.parametrize("permanent", [True, False])
async def test_a_refusal_of_a_replaced_token_changes_nothing(
    store: Store, account_id: AccountId, permanent: bool
) -> None:
    """Another process renewed meanwhile: what is said of the old token is not said of the new."""
    await store.credentials.renewed(account_id, ALL, generation=0, at=5.0)
    assert not await store.credentials.refused(
        account_id, generation=0, code="reused", permanent=permanent, at=6.0
    )
    found = await store.accounts.find(account_id)
    assert (found.dead, found.refused_code) == (False, None)
    assert await store.credentials.refresh_token(account_id) == (Secret("refresh-2"), 1)


async def test_only_a_token_that_died_is_news(store: Store, account_id: AccountId) -> None:
    """A gateway loads all accounts again at every revision; an outage is no reason to."""
    before = await store.revision()
    for code in ("http_503", "unsent"):
        await store.credentials.refused(
            account_id, generation=0, code=code, permanent=False, at=2.0
        )
        await store.credentials.remember(account_id, refusal(code, at=2.0))
    assert await store.revision() == before
    await store.credentials.refused(account_id, generation=0, code="reused", permanent=True, at=2.0)
    assert await store.revision() == before + 1


async def test_an_old_record_that_is_put_back_does_not_open(
    store: Store, settings: Settings, account_id: AccountId
) -> None:
    """The generation is bound into the record, so a spent token can't come back."""
    ((old,),) = await execute(settings, "SELECT refresh_token FROM credentials")
    await store.credentials.renewed(account_id, ALL, generation=0, at=5.0)
    await execute(settings, "UPDATE credentials SET refresh_token = :old", old=old)
    with pytest.raises(SealBroken):
        await store.credentials.refresh_token(account_id)


async def test_damage_does_not_stand_in_the_way_of_what_was_bought(
    store: Store, settings: Settings, account_id: AccountId
) -> None:
    """An old token that does not open is dropped: the new one is the only copy there is."""
    damage = "UPDATE credentials SET id_token = :nothing, access_token = :nothing"
    await execute(settings, damage, nothing=b"\0")
    bought = Tokens(access_token=None, refresh_token=Secret("r2"), id_token=None, expires_at=None)
    account = await store.credentials.renewed(account_id, bought, generation=0, at=5.0)
    assert account.credential.access_token == Secret("")
    assert await store.credentials.refresh_token(account_id) == (Secret("r2"), 1)
