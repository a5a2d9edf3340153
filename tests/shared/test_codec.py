"""Pages and events as bytes."""

import msgspec
import pytest

from app.domain.account import AccountId
from app.domain.caller import KeyId
from app.domain.shared import (
    AccountRested,
    AccountTally,
    CredentialRenewed,
    Draining,
    KeyRevoked,
    KeySpent,
    Presence,
    StoreChanged,
)
from app.shared.codec import Announcement, Page, announcement, encoded, page, presence

A = AccountId("a")


def test_a_page_comes_back() -> None:
    """With all its parts."""
    rows = Page([AccountTally(A, 1, 2, 3, 4)], [KeySpent(KeyId("k"), 1, 2, 3, 4)], ["gone"])
    assert page(encoded(rows)) == rows


def test_a_row_is_short() -> None:
    """Ten thousand accounts of sixteen processes must fit through a wire four times a second."""
    row = AccountTally(AccountId("0123456789abcdef"), 12, 0, 50_000, 90_000_000)
    assert len(msgspec.msgpack.encode(row)) <= 30


@pytest.mark.parametrize(
    "event",
    [
        AccountRested(A, 1.5, "why", "m1"),
        CredentialRenewed(A, 2),
        StoreChanged(3),
        KeyRevoked(KeyId("k")),
        Draining("me"),
    ],
)
def test_every_event_comes_back(event) -> None:
    """As the kind that it was."""
    said = Announcement("me", 7, event)
    assert announcement(encoded(said)) == said


def test_what_cannot_be_read_is_left_out() -> None:
    """A newer version may say what this one does not know."""
    assert page(b"\xc1") == Page()
    assert presence(b"") == Presence()
    assert presence(encoded(Presence("1", "h", 2))) == Presence("1", "h", 2)
    assert announcement(msgspec.msgpack.encode(["me", 1, ["a new kind", 1]])) is None


def test_a_row_with_more_fields_is_read_for_those_that_are_known() -> None:
    """So that versions can run side by side."""
    raw = msgspec.msgpack.encode([[["a", 1, 2, 3, 4, 5]], [], [], "more"])
    assert page(raw) == Page([AccountTally(A, 1, 2, 3, 4)])
