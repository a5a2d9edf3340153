"""Accounts with their tokens, on their way out, in the form that `importing` reads.

On the host they may leave in the clear. Over HTTP they leave sealed with a passphrase: a JSON
object that says how its key was made of that (scrypt), with the rest encrypted by AES-256-GCM.
"""

import os
from base64 import b64decode, b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Protocol

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from msgspec import Struct

from app.domain.account import Account, AccountId, AccountKind, Secret
from app.errors import InvalidRequest

PASSPHRASE_CHARS_MIN: Final = 12
_COST: Final = 1 << 16
"""64 MiB and some 200 ms: whoever tries passphrases pays that for each."""
_COST_MAX: Final = 1 << 18
_KIND: Final = "codex2api-sealed-accounts"


class Exporter(Protocol):
    """Where tokens are."""

    async def export(self, account_id: AccountId, *, at: float) -> dict[str, Secret | None] | None:
        """Return all tokens of an account; leaves an event."""


class SealedAccounts(Struct, frozen=True):
    """Accounts that open with their passphrase alone; the three texts are base64."""

    kind: str
    cost: int
    salt: str
    nonce: str
    data: str


async def exported(
    rows: Exporter, chosen: Sequence[Account], *, at: float
) -> list[dict[str, object]]:
    """Return what is written of each account; each one gets an event that says so.

    Raises:
        StateError: A token does not open.
    """
    found = []
    for account in chosen:
        tokens = await rows.export(account.id, at=at)
        if tokens is not None:
            found.append(_entry(account, tokens))
    return found


def seal(entries: Sequence[dict[str, object]], passphrase: Secret) -> SealedAccounts:
    """Return the entries sealed; takes a while, so call it in a thread."""
    salt, nonce = os.urandom(16), os.urandom(12)
    cipher = AESGCM(_key(passphrase, salt, _COST))
    data = cipher.encrypt(nonce, msgspec.json.encode(entries), _KIND.encode())
    texts = [b64encode(part).decode() for part in (salt, nonce, data)]
    return SealedAccounts(_KIND, _COST, *texts)


def check_passphrase(passphrase: Secret) -> None:
    """Refuse a passphrase that could be guessed.

    Raises:
        InvalidRequest: It is too short.
    """
    if len(passphrase.reveal()) < PASSPHRASE_CHARS_MIN:
        raise InvalidRequest(
            f"A passphrase has at least {PASSPHRASE_CHARS_MIN} characters.", param="passphrase"
        )


def sealed(document: bytes) -> SealedAccounts | None:
    """Return what a file holds if it is sealed; None if it is any other one."""
    try:
        found = msgspec.json.decode(document, type=SealedAccounts)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found if found.kind == _KIND else None


def unseal(found: SealedAccounts, passphrase: Secret) -> bytes:
    """Return the file that was sealed; takes a while.

    Raises:
        InvalidRequest: The passphrase is wrong, or the file was changed.
    """
    try:
        salt, nonce, data = (b64decode(each) for each in (found.salt, found.nonce, found.data))
        cipher = AESGCM(_key(passphrase, salt, min(found.cost, _COST_MAX)))
        return cipher.decrypt(nonce, data, _KIND.encode())
    except (InvalidTag, ValueError):
        raise InvalidRequest(
            "The passphrase is wrong, or the file was changed.", param="passphrase"
        ) from None


def _key(passphrase: Secret, salt: bytes, cost: int) -> bytes:
    return Scrypt(salt=salt, length=32, n=cost, r=8, p=1).derive(passphrase.reveal().encode())


def _entry(account: Account, tokens: dict[str, Secret | None]) -> dict[str, object]:
    plain = {name: token.reveal() for name, token in tokens.items() if token}
    if account.kind is not AccountKind.CODEX:
        entry: dict[str, object] = {
            "type": account.kind.value,
            "name": account.name,
            "base_url": account.base_url,
            "api_key": plain.get("access_token"),
            "organization": account.organization,
            "project": account.project,
        }
    else:
        entry = {
            "type": "codex",
            "name": account.name,
            "email": account.email,
            "account_id": account.chatgpt_account_id,
            **plain,
        }
        if account.credential.expires_at:
            ends_at = datetime.fromtimestamp(account.credential.expires_at, UTC)
            entry["expired"] = ends_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    entry |= _settings(account)
    return {name: value for name, value in entry.items() if value is not None}


def _settings(account: Account) -> dict[str, object]:
    """Return what its operator decided of an account; None where that is nothing."""
    return {
        "enabled": None if account.enabled else False,
        "priority": account.priority,
        "concurrency_max": account.concurrency_max,
        "models": account.models or None,
        "model_map": account.model_map or None,
        "groups": account.groups or None,
        "tags": account.tags or None,
        "pause_at": account.pause_at,
    }
