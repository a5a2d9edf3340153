"""Encrypted items: who may read them, and how to do without them. Pure.

Reasoning travels between turns as `encrypted_content`, which only the account that made it can
read. A fingerprint names such an item without keeping it, so that a later turn finds its way
back to that account; where the account is gone, the items are left out and the turn still works.
"""

from hashlib import blake2b
from typing import Final

import msgspec
from msgspec import Raw, Struct

FINGERPRINTS_MAX: Final = 16
"""Items looked at in one request, the latest first: any of them names the account."""


class _Item(Struct):
    encrypted_content: str | None = None


class _Event(Struct):
    item: _Item | None = None


_ITEMS: Final = msgspec.json.Decoder(list[Raw])
_ITEM: Final = msgspec.json.Decoder(_Item)
_EVENT: Final = msgspec.json.Decoder(_Event)
_TOP: Final = msgspec.json.Decoder(dict[str, Raw])
_MARK: Final = b'"encrypted_content"'


def of_event(data: bytes) -> str | None:
    """Return the fingerprint of the encrypted item that an `output_item.done` event brings."""
    if _MARK not in data:
        return None
    try:
        item = _EVENT.decode(data).item
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return fingerprint(item.encrypted_content) if item and item.encrypted_content else None


def of_input(items: bytes | Raw) -> tuple[str, ...]:
    """Return the fingerprints of a request's encrypted items, the latest first."""
    try:
        raws = _ITEMS.decode(items)
    except msgspec.DecodeError:
        return ()
    found: list[str] = []
    for raw in reversed(raws):
        content = _encrypted(raw)
        if content:
            found.append(fingerprint(content))
            if len(found) == FINGERPRINTS_MAX:
                break
    return tuple(found)


def without(body: bytes) -> bytes:
    """Return the request without its encrypted items; itself if it has none.

    A compaction item is nothing but its encrypted content and goes like the others.
    """
    top = _TOP.decode(body)
    try:
        items = _ITEMS.decode(top["input"])
    except (KeyError, msgspec.DecodeError):
        return body
    kept = [raw for raw in items if not _encrypted(raw)]
    if len(kept) == len(items):
        return body
    top["input"] = Raw(msgspec.json.encode(kept))
    return msgspec.json.encode(top)


def fingerprint(content: str) -> str:
    """Return a short name for what only one account can read; it says nothing of the content."""
    return blake2b(content.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _encrypted(raw: Raw) -> str | None:
    """Return an item's encrypted content; most items have none and are not decoded for it."""
    if _MARK not in bytes(raw):
        return None
    try:
        return _ITEM.decode(raw).encrypted_content
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
