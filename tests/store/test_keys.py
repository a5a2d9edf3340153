"""Tests of app.store.keys."""

import hmac
import re
from hashlib import sha256

import pytest
from msgspec import structs

from app.domain.account import Secret
from app.domain.caller import Allowance, KeyId
from app.domain.enrolment import KeyChanges, KeyDigest
from app.errors import InvalidRequest
from app.ports import Callers
from app.store.keys import KeyBook
from app.store.store import Store
from app.store.vault import Vault


async def book_of(store: Store) -> KeyBook:
    """Return a book with all that the store holds."""
    book = store.key_book()
    book.replace(await store.keys.list(revoked=True))
    return book


async def test_a_new_key_has_its_documented_form(store: Store) -> None:
    """The id in the key is the row's, the secret has 256 bits."""
    made = await store.keys.create(name="k", at=1.0, models=("gpt-5",), expires_at=9.0)
    match = re.fullmatch(r"sk-c2a-([0-9a-f]{10})-[\w-]{43}", made.key.reveal())
    assert match[1] == made.caller.id
    (stored,) = await store.keys.list()
    assert stored.caller == made.caller
    assert stored.tail == made.key.reveal()[-4:]


async def test_a_key_is_found_in_memory(store: Store) -> None:
    """The book satisfies the port; a wrong key, part of a key and odd text find nobody."""
    made = await store.keys.create(name="k", at=1.0)
    book: Callers = await book_of(store)
    assert book.find(made.key.reveal()) == made.caller
    for wrong in ("", "x", made.key.reveal()[:-1], made.key.reveal() + "x", "\udcff", "ü"):
        assert book.find(wrong) is None


async def test_a_book_is_empty_until_there_is_a_key(store: Store) -> None:
    """Without any key the edge refuses everybody; revoked ones do not count."""
    assert (await book_of(store)).empty
    made = await store.keys.create(name="k", at=1.0)
    assert not (await book_of(store)).empty
    assert await store.keys.revoke(made.caller.id, at=2.0)
    assert (await book_of(store)).empty


async def test_revoking_is_for_good(store: Store) -> None:
    """A revoked key is listed only on request and can't be revoked or changed again."""
    made = await store.keys.create(name="k", at=1.0)
    assert await store.keys.revoke(made.caller.id, at=2.0)
    assert not await store.keys.revoke(made.caller.id, at=3.0)
    assert await store.keys.change(made.caller.id, KeyChanges(name="n")) is None
    assert await store.keys.list() == []
    assert [key.revoked_at for key in await store.keys.list(revoked=True)] == [2.0]


@pytest.mark.parametrize("key", ["abc", "my own key's text!".replace(" ", "_"), "x" * 256])
async def test_an_operators_key_has_no_format(store: Store, key: str) -> None:
    """Old keys of other gateways go on working as they are."""
    made = await store.keys.create(name="k", at=1.0, key=Secret(key))
    assert (await book_of(store)).find(key) == made.caller


async def test_a_short_key_shows_nothing_of_itself(store: Store) -> None:
    """Four of eight characters would be half the key."""
    await store.keys.create(name="k", at=1.0, key=Secret("12345678"))
    assert (await store.keys.list())[0].tail == ""


@pytest.mark.parametrize("key", ["#!", "x" * 257, "ümlaut", "a b c", "tab\there"])
async def test_a_key_of_a_wrong_form_is_refused(store: Store, key: str) -> None:
    """What can't travel in a header can't be a key."""
    with pytest.raises(InvalidRequest, match="3 to 256") as caught:
        await store.keys.create(name="k", at=1.0, key=Secret(key))
    assert key not in caught.value.message


async def test_a_key_is_there_once(store: Store) -> None:
    """The second row of one key could be revoked without any effect."""
    await store.keys.create(name="k", at=1.0, key=Secret("same"))
    with pytest.raises(InvalidRequest, match="already"):
        await store.keys.create(name="k", at=1.0, key=Secret("same"))


async def test_the_number_of_keys_is_bounded(store: Store) -> None:
    """All keys live in memory, so their number has a limit."""
    for _ in range(4):
        await store.keys.create(name="k", at=1.0)
    with pytest.raises(InvalidRequest, match="limit"):
        await store.keys.create(name="k", at=1.0)


async def test_keys_of_the_environment_are_made_once(store: Store) -> None:
    """Every start asks again; a key that was revoked meanwhile stays revoked."""
    wanted = [Secret("first-key"), Secret("second-key")]
    assert await store.keys.ensure(wanted, name="env", at=1.0) == 2
    first, second = sorted(await store.keys.list(), key=lambda key: key.caller.name)
    assert (first.caller.name, second.caller.name) == ("env 1", "env 2")
    await store.keys.revoke(first.caller.id, at=2.0)
    assert await store.keys.ensure(wanted, name="env", at=3.0) == 0
    assert await store.keys.list() == [second]


async def test_a_key_can_be_changed(store: Store) -> None:
    """Each field by itself; None takes the end away, no list is an empty one."""
    made = await store.keys.create(name="k", at=1.0, expires_at=9.0, tags=("x",))
    await store.keys.change(made.caller.id, KeyChanges(name="n", enabled=False))
    await store.keys.change(made.caller.id, KeyChanges(models=("m",), groups=("b", "a", " b")))
    changed = await store.keys.change(made.caller.id, KeyChanges(expires_at=None, tags=()))
    assert changed.caller == structs.replace(
        made.caller, name="n", enabled=False, models=("m",), groups=("a", "b"), tags=(),
        expires_at=None,
    )  # fmt: skip
    assert await store.keys.list() == [changed]
    before = await store.revision()
    assert await store.keys.change(made.caller.id, KeyChanges()) == changed
    assert await store.revision() == before
    assert await store.keys.change(KeyId("gone"), KeyChanges(name="n")) is None


async def test_a_key_is_bound_to_groups_and_tags(store: Store) -> None:
    """They come back as they are kept; a name of a wrong form makes no key and changes none."""
    made = await store.keys.create(name="k", at=1.0, groups=("b", "a", "b"), tags=(" eu",))
    assert (made.caller.groups, made.caller.tags) == (("a", "b"), ("eu",))
    assert (await book_of(store)).find(made.key.reveal()) == made.caller
    with pytest.raises(InvalidRequest, match="groups: 'a,b'"):
        await store.keys.create(name="k", at=1.0, groups=("a,b",))
    with pytest.raises(InvalidRequest, match="tags: a name must not be empty"):
        await store.keys.change(made.caller.id, KeyChanges(name="n", tags=("",)))
    assert [key.caller for key in await store.keys.list()] == [made.caller]


async def test_keys_of_an_older_pepper_still_work(store: Store) -> None:
    """A new pepper is for new keys; no caller notices."""
    made = await store.keys.create(name="k", at=1.0)
    peppers = store._vault.peppers | {2: b"new"}
    book = KeyBook(Vault(store._vault.keyring, peppers))
    book.replace(await store.keys.list())
    assert Vault(store._vault.keyring, peppers).pepper_version == 2
    assert book.find(made.key.reveal()) == made.caller
    assert book.find("other") is None


LIMITS = Allowance(60, 10_000, 5, 2_500_000_000, 10**15)


async def test_a_key_keeps_its_limits(store: Store) -> None:
    """From its making on, through a change of some of them, and in the book."""
    made = await store.keys.create(
        name="k", at=1.0, endpoints=("chat",), networks=("10.1.2.3/8",), allowance=LIMITS
    )
    (stored,) = await store.keys.list()
    assert stored.caller == made.caller
    assert (stored.caller.allowance, stored.caller.networks) == (LIMITS, ("10.0.0.0/8",))
    changes = KeyChanges(month_nusd=None, concurrency_max=7, endpoints=(), networks=("::1",))
    changed = await store.keys.change(made.caller.id, changes)
    wanted = structs.replace(LIMITS, month_nusd=None, concurrency_max=7)
    assert changed.caller.allowance == wanted
    assert (changed.caller.endpoints, changed.caller.networks) == ((), ("::1/128",))
    assert (await book_of(store)).find(made.key.reveal()) == changed.caller
    plain = await store.keys.create(name="plain", at=1.0)
    assert plain.caller.allowance.unlimited


@pytest.mark.parametrize(
    "fields",
    [
        {"day_nusd": -1},
        {"requests_per_minute": 0},
        {"tokens_per_minute": 2**63},
        {"endpoints": ("telepathy",)},
        {"networks": ("nowhere",)},
    ],
)
async def test_a_limit_that_can_not_be_is_refused(store: Store, fields) -> None:
    """Whoever asks for it; the message names the field."""
    made = await store.keys.create(name="k", at=1.0, allowance=LIMITS)
    (name,) = fields
    with pytest.raises(InvalidRequest, match=name):
        await store.keys.change(made.caller.id, KeyChanges(**fields))
    chosen = fields if name in ("endpoints", "networks") else {"allowance": Allowance(**fields)}
    with pytest.raises(InvalidRequest, match=name):
        await store.keys.create(name="n", at=1.0, **chosen)
    (stored,) = await store.keys.list()
    assert stored.caller == made.caller


async def test_a_key_of_which_only_the_digest_is_known_opens(store: Store) -> None:
    """The digest itself opens nothing: who has got hold of it has no key."""
    text = "sk-of-another-gateway-0815"
    brought = KeyDigest(sha256(text.encode()).digest())
    made = await store.keys.create(name="theirs", at=1.0, key=brought)
    assert made.key.reveal() == ""
    book = store.key_book()
    book.replace(await store.keys.list())
    found = book.find(text)
    assert found is not None
    assert found.id == made.caller.id
    for wrong in (brought.sha256.hex(), "sha256:" + brought.sha256.hex(), text + "x"):
        assert book.find(wrong) is None
    for again in (brought, Secret(text)):
        with pytest.raises(InvalidRequest, match="already"):
            await store.keys.create(name="again", at=1.0, key=again)


async def test_every_key_takes_the_same_steps(store: Store, monkeypatch) -> None:
    """Unknown, revoked, nearly right and long ones: as many comparisons of as many bytes."""
    good = (await store.keys.create(name="good", at=1.0)).key.reveal()
    revoked = await store.keys.create(name="revoked", at=1.0)
    assert await store.keys.revoke(revoked.caller.id, at=2.0)
    book = await book_of(store)
    compared: list[tuple[int, int]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return one == other

    monkeypatch.setattr(hmac, "compare_digest", compare)
    steps = []
    for key in (revoked.key.reveal(), good[:-1] + "x", "sk-unknown", "x" * 8_000):
        compared.clear()
        assert book.find(key) is None
        steps.append(list(compared))
    assert steps[0]
    assert all(each == steps[0] for each in steps)
