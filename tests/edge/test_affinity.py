"""Tests of app.edge.affinity."""

from itertools import pairwise
from uuid import UUID

import pytest

from app.dialects.responses.encrypted import Sealed
from app.domain.caller import KeyId
from app.edge.affinity import (
    SESSION_HEADERS,
    bound_keys,
    isolated,
    isolated_headers,
    owner_keys,
    session_key,
)

ONE, OTHER = KeyId("key-1"), KeyId("key-2")


@pytest.mark.parametrize("value", ["", "a", "a" * 5_000, "\xe9", "\ud800"])
def test_what_travels_is_a_uuid_of_the_caller_alone(value) -> None:
    """The same for the same caller, so its cache stays warm; never another caller's."""
    mine = isolated(value, ONE)
    assert str(UUID(mine)) == mine
    assert isolated(value, ONE) == mine
    assert isolated(value, OTHER) != mine
    assert isolated(value + "b", ONE) != mine


def test_a_long_key_id_isolates_as_well_as_a_short_one() -> None:
    """A hash's key has a limit of its own; an id has none."""
    ids = [KeyId("k" * size) for size in (1, 63, 64, 65, 500)]
    assert len({isolated("a", id_) for id_ in ids}) == len(ids)


def test_only_headers_that_name_a_session_are_changed() -> None:
    """The others pass, in their order."""
    naming = ("session-id", "session_id", "thread-id", "x-codex-parent-thread-id")
    headers = (("version", "1"), *((name, "s") for name in naming), ("originator", "o"))
    changed = isolated_headers(headers, ONE)
    assert changed == (
        ("version", "1"),
        *((name, isolated("s", ONE)) for name in naming),
        ("originator", "o"),
    )
    assert isolated_headers((), ONE) == ()


def test_the_header_that_counts_most_names_the_session() -> None:
    """Whatever order they come in; any of them counts more than the cache key."""
    alone = {name: session_key([(name, name)], None, ONE) for name in SESSION_HEADERS}
    assert len(set(alone.values())) == len(SESSION_HEADERS)
    for more, less in pairwise(SESSION_HEADERS):
        for headers in ([(more, more), (less, less)], [(less, less), (more, more)]):
            assert session_key(headers, "cache", ONE) == alone[more]


def test_a_cache_key_names_the_session_when_no_header_does() -> None:
    """An empty header names none."""
    key = session_key([], "cache", ONE)
    assert key is not None
    assert session_key([(b"session-id", b""), (b"accept", b"x")], "cache", ONE) == key
    assert session_key([(b"session-id", b"cache")], None, ONE) == key
    assert session_key([], "\ud800", ONE) is not None


@pytest.mark.parametrize("cache_key", [None, ""])
def test_a_request_that_names_none_has_no_session(cache_key) -> None:
    """Nor is one made up."""
    assert session_key([(b"accept", b"x")], cache_key, ONE) is None


def test_a_session_belongs_to_its_caller_and_takes_little_room() -> None:
    """Two callers with the same key have two sessions."""
    mine, other = (session_key([], "s" * 10_000, caller) for caller in (ONE, OTHER))
    assert mine is not None
    assert mine != other
    assert mine.startswith("key-1:session:")
    assert len(mine) < 64


def test_an_encrypted_item_belongs_to_its_caller() -> None:
    """Its name in our tables begins with the caller's key."""
    items = (Sealed("f1"), Sealed("f2", bound=True))
    assert owner_keys(items, ONE) == ("key-1:f1", "key-1:f2")
    assert bound_keys(items, ONE) == ("key-1:f2",)
    assert owner_keys((), ONE) == bound_keys((), ONE) == ()
