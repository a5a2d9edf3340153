"""Secrets at rest: text to records that only this keyring opens, and only in their place.

A record is the bytes `"v1" | kid (8) | nonce (12) | ciphertext | tag (16)`, AES-256-GCM. Its
place (table, row, column, generation) is authenticated with it, so that a record that is moved
to another row, or put back after a newer one was written, does not open. The keyring's first key
writes, all of them read; `kid` names the key, so a rotation can count what is left of the old one.
Nothing here reads files or rows.
"""

import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import Struct

from app.domain.account import Secret
from app.errors import StateError

VERSION = b"v1"
KID_BYTES = 8
NONCE_BYTES = 12
TAG_BYTES = 16
_HEADER_BYTES = len(VERSION) + KID_BYTES + NONCE_BYTES


class SealBroken(StateError):
    """A record does not open: damaged, moved, or sealed with a key that is not in the ring."""


class Place(Struct, frozen=True):
    """Where a record belongs; it opens nowhere else."""

    table: str
    row_id: str
    column: str
    generation: int = 0

    def authenticated(self) -> bytes:
        """Return the bytes that bind a record to this place.

        The parts are names and ids of our own and hold no bar, so no two places are alike.
        """
        parts = (self.table, self.row_id, self.column, str(self.generation))
        if any("|" in part for part in parts):
            raise AssertionError("a bar in a name would make two places alike")
        return "|".join(parts).encode()


class Keyring:
    """Seals with its first key, opens with any."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Derive the ring from one or more texts of at least 32 random characters."""
        ring = [(_derive(key, b"codex2api kid", KID_BYTES), key) for key in keys]
        self._ciphers = {kid: AESGCM(_derive(key, b"codex2api aead", 32)) for kid, key in ring}
        self._primary = ring[0][0]

    def __repr__(self) -> str:
        return f"<Keyring {' '.join(self.kids)}>"

    @property
    def kids(self) -> tuple[str, ...]:
        """The public names of the keys, the writing one first."""
        return tuple(kid.hex() for kid in self._ciphers)

    def seal(self, secret: Secret, place: Place) -> bytes:
        """Return the record that holds `secret` at `place`."""
        nonce = os.urandom(NONCE_BYTES)
        cipher = self._ciphers[self._primary]
        body = cipher.encrypt(nonce, secret.reveal().encode(), place.authenticated())
        return VERSION + self._primary + nonce + body

    def open(self, record: bytes, place: Place) -> Secret:
        """Return what was sealed at `place`.

        Raises:
            SealBroken: The record is no record, is not from here, or its key is not in the ring.
        """
        kid = kid_of(record)
        cipher = self._ciphers.get(bytes.fromhex(kid))
        if cipher is None:
            raise SealBroken(f"A secret is sealed with key {kid}, which is not in the keyring.")
        nonce, body = record[_HEADER_BYTES - NONCE_BYTES : _HEADER_BYTES], record[_HEADER_BYTES:]
        try:
            return Secret(cipher.decrypt(nonce, body, place.authenticated()).decode())
        except InvalidTag:
            raise SealBroken(
                f"The secret {place.column} of row {place.row_id} in {place.table} was changed, "
                "moved or put back, and does not open."
            ) from None


def kid_of(record: bytes) -> str:
    """Return the public name of the key that sealed `record`.

    Raises:
        SealBroken: It is too short or of another version.
    """
    if len(record) < _HEADER_BYTES + TAG_BYTES or not record.startswith(VERSION):
        raise SealBroken("A sealed record is cut short or of an unknown version.")
    return record[len(VERSION) : len(VERSION) + KID_BYTES].hex()


def _derive(key: str, purpose: bytes, length: int) -> bytes:
    # No slow hash: the texts are demanded to be long and random, and are generated that way.
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=purpose).derive(key.encode())
