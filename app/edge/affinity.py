"""Which session a request belongs to, and how its keys are kept apart from other callers'.

A session's key travels upstream, where it decides which prompt cache is used. Two callers who
happen to choose the same key must not meet there, so what travels is a digest of the key and of
the caller's own key: stable, so the cache stays warm, and no one else's.
"""

from hashlib import blake2b
from typing import Final
from uuid import UUID

from app.domain.caller import KeyId

SESSION_HEADERS: Final = (
    "x-codex2api-affinity-key",
    "session-id",
    "session_id",
    "conversation_id",
)


def isolated(value: str, caller_id: KeyId) -> str:
    """Return a UUID that stands for `value` in the traffic of this caller only."""
    digest = blake2b(value.encode("utf-8", "surrogatepass"), digest_size=16, key=_salt(caller_id))
    return str(UUID(bytes=digest.digest()))


def session_key(
    headers: tuple[tuple[str, str], ...], cache_key: str | None, caller_id: KeyId
) -> str | None:
    """Return the session's key in our own tables: the header's, else the cache key's."""
    for name, value in headers:
        if name in SESSION_HEADERS:
            return f"{caller_id}:session:{value}"
    return f"{caller_id}:session:{cache_key}" if cache_key else None


def _salt(caller_id: KeyId) -> bytes:
    return blake2b(caller_id.encode(), digest_size=32).digest()


def owner_keys(fingerprints: tuple[str, ...], caller_id: KeyId) -> tuple[str, ...]:
    """Return the names of a request's encrypted items in our own tables."""
    return tuple(f"{caller_id}:{fingerprint}" for fingerprint in fingerprints)
