"""Tests of app.store.keyring."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from app.domain.account import Secret
from app.store.keyring import Keyring, Place, SealBroken, kid_of

OLD, NEW = "o" * 32, "n" * 32
KNOWN_RECORD = (
    "763115d03bb0aac6cf5da2f1465cd604f90e42017fe3af93f3"
    "27e24075fb4790ecfb4ac3685b58de1323d924d60b0ce4c860"
)
PLACE = Place("credentials", "a1", "access_token", 3)


def test_what_is_sealed_opens_again() -> None:
    """Any text comes back as it was, and no record is like another."""
    ring = Keyring([NEW])
    first, second = (ring.seal(Secret("täxt"), PLACE) for _ in range(2))
    assert first != second
    assert ring.open(first, PLACE) == Secret("täxt")


def test_the_record_has_its_documented_form() -> None:
    """A record sealed by an earlier build of this form still opens."""
    ring = Keyring([NEW])
    record = ring.seal(Secret("x" * 5), PLACE)
    assert record.startswith(b"v1" + bytes.fromhex(ring.kids[0]))
    assert len(record) == 2 + 8 + 12 + 5 + 16
    known = bytes.fromhex(KNOWN_RECORD)
    assert Keyring([NEW]).open(known, PLACE) == Secret("known answer")


def test_a_record_with_any_byte_changed_does_not_open() -> None:
    """Version, key name, nonce, text and tag are all guarded."""
    ring = Keyring([NEW])
    record = ring.seal(Secret("token"), PLACE)
    for index in range(len(record)):
        changed = bytearray(record)
        changed[index] ^= 1
        with pytest.raises(SealBroken):
            ring.open(bytes(changed), PLACE)


def test_a_record_cut_anywhere_does_not_open() -> None:
    """A record that a full disk cut short is told from a whole one."""
    ring = Keyring([NEW])
    record = ring.seal(Secret("token"), PLACE)
    for length in range(len(record)):
        with pytest.raises(SealBroken):
            ring.open(record[:length], PLACE)


@given(st.binary(max_size=80))
def test_any_bytes_are_refused_politely(record: bytes) -> None:
    """The parser has one way to fail."""
    with pytest.raises(SealBroken):
        Keyring([NEW]).open(record, PLACE)


@pytest.mark.parametrize(
    "moved",
    [
        {"table": "accounts"},
        {"row_id": "a2"},
        {"column": "refresh_token"},
        {"generation": 2},
    ],
)
def test_a_record_opens_in_its_own_place_only(moved: dict[str, object]) -> None:
    """Rows can't be swapped, and an old record can't be put back."""
    ring = Keyring([NEW])
    record = ring.seal(Secret("token"), PLACE)
    with pytest.raises(SealBroken, match="moved"):
        ring.open(record, structs.replace(PLACE, **moved))


def test_places_are_never_ambiguous() -> None:
    """A bar within a part would let two places look alike."""
    with pytest.raises(AssertionError):
        Place("a|b", "c", "d").authenticated()


def test_the_first_key_writes_and_all_read() -> None:
    """That is how a key is changed without a moment in which rows do not open."""
    old = Keyring([OLD]).seal(Secret("token"), PLACE)
    ring = Keyring([NEW, OLD])
    assert ring.open(old, PLACE) == Secret("token")
    assert kid_of(ring.seal(Secret("token"), PLACE)) == ring.kids[0] == Keyring([NEW]).kids[0]
    with pytest.raises(SealBroken, match="not in the keyring"):
        Keyring([NEW]).open(old, PLACE)


def test_a_keyring_does_not_show_its_keys() -> None:
    """Only the public names stand in its form for people."""
    assert NEW not in repr(Keyring([NEW]))
