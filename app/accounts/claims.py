"""Whose a token is: reads the claims of a JWT without checking its signature.

The operator brought the token himself and the upstream checks it on every call, so a forged
one fools nobody. Nothing in here raises: an opaque token, or one that is damaged, has no
claims. Tokens are never kept or shown.
"""

import binascii
from base64 import urlsafe_b64decode
from collections.abc import Mapping

import msgspec
from msgspec import Struct

TOKEN_CHARS_MAX = 64 * 1024
_AUTH = "https://api.openai.com/auth"
_PROFILE = "https://api.openai.com/profile"
_EPOCH_MAX = 1e11


class Claims(Struct, frozen=True):
    """What a token says of its owner; None where it is silent. `expires_at` is epoch seconds.

    The identity is the pair of user and account: one person can own several workspaces, and
    one workspace has several persons.
    """

    chatgpt_user_id: str | None = None
    chatgpt_account_id: str | None = None
    email: str | None = None
    plan: str | None = None
    fedramp: bool = False
    expires_at: float | None = None


NOTHING = Claims()


def read(token: str | None) -> Claims:
    """Return the claims of one token; `NOTHING` if it has none that can be read."""
    payload = _payload(token) if token else None
    if payload is None:
        return NOTHING
    auth = _mapping(payload, _AUTH)
    return Claims(
        chatgpt_user_id=_text(auth, "chatgpt_user_id") or _text(auth, "user_id"),
        chatgpt_account_id=_text(auth, "chatgpt_account_id"),
        email=_text(payload, "email") or _text(_mapping(payload, _PROFILE), "email"),
        plan=_text(auth, "chatgpt_plan_type"),
        fedramp=auth.get("chatgpt_account_is_fedramp") is True,
        expires_at=_epoch(payload.get("exp")),
    )


def identity(*, id_token: str | None, access_token: str | None) -> Claims:
    """Return who the two tokens belong to: the ID token's word first, gaps from the other.

    `expires_at` is the access token's alone: the ID token's own end means nothing here.
    """
    first, second = read(id_token), read(access_token)
    return Claims(
        chatgpt_user_id=first.chatgpt_user_id or second.chatgpt_user_id,
        chatgpt_account_id=first.chatgpt_account_id or second.chatgpt_account_id,
        email=first.email or second.email,
        plan=first.plan or second.plan,
        fedramp=first.fedramp or second.fedramp,
        expires_at=second.expires_at,
    )


def _payload(token: str) -> Mapping[str, object] | None:
    parts = token.split(".")
    if len(parts) != 3 or len(token) > TOKEN_CHARS_MAX:
        return None
    try:
        decoded = msgspec.json.decode(urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    # msgspec answers JSON that nests too deeply with RecursionError.
    except (binascii.Error, ValueError, RecursionError):
        return None
    return decoded if isinstance(decoded, dict) else None


def _mapping(payload: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = payload.get(name)
    return found if isinstance(found, dict) else {}


def _text(payload: Mapping[str, object], name: str) -> str | None:
    found = payload.get(name)
    return found if isinstance(found, str) and found else None


def _epoch(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 < value < _EPOCH_MAX else None
