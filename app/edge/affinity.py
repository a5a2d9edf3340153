"""Which session a request belongs to, and how its keys are kept apart from other callers'.

A session's key travels upstream, where it decides which prompt cache is used. Two callers who
happen to choose the same key must not meet there, so what travels is a digest of the key and of
the caller's own key: stable, so the cache stays warm, and no one else's. In our own tables there
are digests as well, so that a long key takes no more room than a short one.
"""

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final
from uuid import UUID

from app.dialects.responses.encrypted import Sealed
from app.domain.caller import KeyId

SESSION_HEADERS: Final = (
    b"x-codex2api-affinity-key",
    b"session-id",
    b"session_id",
    b"conversation_id",
)
"""Headers that name a session, the one that counts most first."""

_ISOLATED: Final = frozenset({"session-id", "session_id", "thread-id", "x-codex-parent-thread-id"})

Headers = tuple[tuple[str, str], ...]


def isolated(value: str, caller_id: KeyId) -> str:
    """Return a UUID that stands for `value` in the traffic of this caller only."""
    digest = blake2b(value.encode("utf-8", "surrogatepass"), digest_size=16, key=_salt(caller_id))
    return str(UUID(bytes=digest.digest()))


def isolated_headers(headers: Headers, caller_id: KeyId) -> Headers:
    """Return the headers that travel upstream, with those that name a session kept apart."""
    return tuple(
        (name, isolated(value, caller_id)) if name in _ISOLATED else (name, value)
        for name, value in headers
    )


def session_key(
    headers: Iterable[tuple[bytes, bytes]], cache_key: str | None, caller_id: KeyId
) -> str | None:
    """Return the session's key in our own tables: a header's, else the cache key's.

    `headers` are the request's own, names in lower case, not only those that travel upstream.
    """
    named = {name: value for name, value in headers if name in SESSION_HEADERS and value}
    for name in SESSION_HEADERS:
        if name in named:
            return f"{caller_id}:session:{_digest(named[name])}"
    if not cache_key:
        return None
    return f"{caller_id}:session:{_digest(cache_key.encode('utf-8', 'surrogatepass'))}"


def owner_keys(items: tuple[Sealed, ...], caller_id: KeyId) -> tuple[str, ...]:
    """Return the names of a request's encrypted items in our own tables."""
    return tuple(f"{caller_id}:{item.fingerprint}" for item in items)


def bound_keys(items: tuple[Sealed, ...], caller_id: KeyId) -> tuple[str, ...]:
    """Return the names of those that the request is nothing without."""
    return tuple(f"{caller_id}:{item.fingerprint}" for item in items if item.bound)


def _salt(caller_id: KeyId) -> bytes:
    return _digest_of(caller_id.encode(), size=32)


def _digest(value: bytes) -> str:
    return _digest_of(value, size=16).hex()


def _digest_of(value: bytes, *, size: int) -> bytes:
    return blake2b(value, digest_size=size).digest()
