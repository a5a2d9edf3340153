"""What belongs to an account is shown to no other one, and what nobody owns is anybody's."""

from random import Random

import msgspec
import pytest

from app.dialects.responses.encrypted import fingerprint
from app.errors import CapacityError, ContextUnavailable
from app.pool.affinity import AffinityTable
from app.pool.pool import AccountPool
from app.relay.ownership import TURN_STATE, addressed, bound_to, item_key, unavailable, unsealed
from tests.fakes.accounts import account, call

NOW = 1_000.0


def item(content: str, type: str = "reasoning") -> dict:
    """Return an encrypted item."""
    return {"type": type, "encrypted_content": content}


def body(*items: dict) -> bytes:
    """Return a request with these items."""
    return msgspec.json.encode({"model": "m1", "input": items})


def keys(*contents: str) -> tuple[str, ...]:
    """Return the names of encrypted items in the pool's table."""
    return tuple(f"key-1:{fingerprint(content)}" for content in contents)


@pytest.fixture
def pool() -> AccountPool:
    """A pool that knows who made which item: `a1` is account a's, and so on."""
    pool = AccountPool(rng=Random(1), affinity=AffinityTable(entries_max=99, ttl_s=1e6))
    pool.apply([account("a"), account("b")], now=NOW)
    for content in ("a1", "a2", "b1", "b2"):
        pool.bind(keys(content)[0], content[0], now=NOW)
    return pool


def test_an_account_is_shown_its_own_items_and_those_that_nobody_owns(pool):
    """In their order; those of another account are left out for this attempt only."""
    asked = call(
        body=body(item("a1"), item("b1"), {"text": 1}, item("?"), item("a2")),
        owner_keys=keys("a2", "?", "b1", "a1"),
    )
    for name, kept in (("a", ["a1", "?", "a2"]), ("b", ["b1", "?"])):
        shown, unowned = addressed(asked, name, pool, now=NOW)
        items = [i for i in msgspec.json.decode(shown.body)["input"] if "text" not in i]
        assert [i["encrypted_content"] for i in items] == kept
        assert unowned == keys("?")


def test_a_call_without_foreign_items_is_shown_as_it_is(pool):
    """The very same object."""
    for asked in (call(), call(body=body(item("a1")), owner_keys=keys("a1"))):
        assert addressed(asked, "a", pool, now=NOW) == (asked, ())
        assert addressed(asked, "a", pool, now=NOW)[0] is asked


def test_another_callers_items_are_nobodys(pool):
    """A name is worth nothing without the caller's key."""
    asked = call(caller_id="key-2", owner_keys=("key-2:" + fingerprint("a1"),))
    assert addressed(asked, "b", pool, now=NOW) == (asked, asked.owner_keys)


@pytest.mark.parametrize(("owner", "sent"), [("a", True), ("b", False), (None, False)])
def test_a_turns_state_goes_to_the_account_that_gave_it_only(pool, owner, sent):
    """Nobody else could use it; that of an unknown one isn't worth a try."""
    headers = (("x", "1"), (TURN_STATE, "opaque"), ("y", "2"))
    asked = call(headers=headers)
    if owner:
        pool.bind(item_key(asked, fingerprint("opaque")), owner, now=NOW)
    shown, _ = addressed(asked, "a", pool, now=NOW)
    assert shown.headers == (headers if sent else (headers[0], headers[2]))


@pytest.mark.parametrize(
    ("contents", "owner"),
    [((), None), (("?",), None), (("a1",), "a"), (("?", "b1", "b2"), "b")],
)
def test_a_compaction_binds_the_call_to_its_owner(pool, contents, owner):
    """If anybody is known to be it."""
    assert bound_to(call(bound_keys=keys(*contents)), pool, now=NOW) == owner


def test_compactions_of_two_accounts_can_not_be_continued(pool):
    """No account could read both."""
    with pytest.raises(ContextUnavailable, match="different accounts"):
        bound_to(call(bound_keys=keys("a1", "b1")), pool, now=NOW)


def test_reasoning_that_could_not_be_read_is_left_out():
    """A compaction stays, and the call still knows it."""
    asked = call(
        body=body(item("x"), item("z", "compaction"), item("y")),
        owner_keys=keys("y", "z", "x"),
        bound_keys=keys("z"),
    )
    left = unsealed(asked)
    assert msgspec.json.decode(left.body)["input"] == [item("z", "compaction")]
    assert (left.owner_keys, left.bound_keys) == (keys("z"), keys("z"))
    with pytest.raises(ContextUnavailable):
        unsealed(left)
    assert unsealed(call()) is None


def test_the_reason_why_the_owner_can_not_take_the_call_says_when_it_can():
    """If it ever can."""
    gone = unavailable(CapacityError("x", code="pool_empty"))
    assert (gone.status, gone.code) == (409, "response_context_unavailable")
    assert (gone.retry_after_s, gone.resets_at) == (None, None)
    resting = unavailable(CapacityError("x", retry_after_s=60.0, resets_at=99.0))
    assert (resting.status, resting.retry_after_s, resting.resets_at) == (409, 60.0, 99.0)
    assert gone.message != resting.message
