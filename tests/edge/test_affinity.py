"""Tests of app.edge.affinity."""

from uuid import UUID

import pytest

from app.domain.caller import KeyId
from app.edge.affinity import isolated, isolated_headers, owner_keys, session_key

A, B = KeyId("a"), KeyId("b")


def test_a_key_stands_for_itself_with_one_caller_only() -> None:
    """Stable for the cache, a UUID for the backend, and nobody else's."""
    assert isolated("x", A) == isolated("x", A)
    assert len({isolated("x", A), isolated("x", B), isolated("y", A)}) == 3
    assert UUID(isolated("\ud800", A))


def test_headers_that_name_a_session_are_kept_apart() -> None:
    """The same way as a cache key, so that equal ones stay equal; the others stay."""
    given = (("session-id", "x"), ("session_id", "x"), ("thread-id", "x"), ("user-agent", "x"))
    kept = dict(isolated_headers(given, A))
    assert kept["session-id"] == kept["session_id"] == kept["thread-id"] == isolated("x", A)
    assert kept["user-agent"] == "x"


@pytest.mark.parametrize(("headers", "like"), [
    ([(b"session-id", b"s")], b"s"),
    ([(b"session_id", b"s"), (b"x-codex2api-affinity-key", b"k")], b"k"),
    ([(b"conversation_id", b"c"), (b"session_id", b"s")], b"s"),
    ([(b"x-codex2api-affinity-key", b""), (b"conversation_id", b"c")], b"c"),
    ([(b"cookie", b"x")], b"cache"),
])  # fmt: skip
def test_the_header_that_counts_most_names_the_session(headers, like) -> None:
    """Else the cache key does."""
    key = session_key(headers, "cache", A)
    assert key == session_key([(b"session-id", like)], None, A)
    assert key != session_key([(b"session-id", like)], None, B)


def test_a_request_may_have_no_session() -> None:
    """Neither a header nor a cache key."""
    assert session_key([], None, A) is None
    assert session_key([], "", A) is None


def test_a_long_name_takes_no_more_room_than_a_short_one() -> None:
    """The table of sessions is bounded by their number."""
    long = session_key([(b"session-id", b"x" * 60_000)], None, A)
    assert long
    assert len(long) < 64
    assert len(session_key([], "\ud800" * 10_000, A) or "") < 64


def test_owners_are_looked_up_per_caller() -> None:
    """An item of another caller is nobody's."""
    assert owner_keys(("f", "g"), A) == ("a:f", "a:g")
