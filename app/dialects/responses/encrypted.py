"""Encrypted items: who may read them, and how to do without them. Pure.

Reasoning travels between turns as `encrypted_content`, which only the account that made it can
read. A fingerprint names such an item without keeping it, so that a later turn finds its way back
to that account, and no other one is ever shown it. Where the account can't be asked, reasoning is
left out and the turn still works. A compaction item is different: it stands for all that was said
before it, so a request is nothing without it and is bound to the account that made it.
"""

from collections.abc import Container
from hashlib import blake2b
from typing import Final

import msgspec
from msgspec import Raw, Struct

SEALED_MAX: Final = 512
"""Items looked at in one request, the latest first; longer conversations get compacted."""

COMPACTIONS: Final = frozenset({"compaction", "compaction_summary", "context_compaction"})
_WHOLE_MAX: Final = 256
_HEAD: Final = 64
_TAIL: Final = 128
"""Encrypted content begins with what makes it unique and ends with what authenticates it."""


class Sealed(Struct, frozen=True):
    """An encrypted item of a request, by name."""

    fingerprint: str
    bound: bool = False
    """The request is nothing without it."""


class _Item(Struct):
    type: str | None = None
    encrypted_content: str | None = None


class _Event(Struct):
    item: _Item | None = None


class _Document(Struct):
    output: Raw = Raw(b"[]")


_DOCUMENT: Final = msgspec.json.Decoder(_Document)
_ITEMS: Final = msgspec.json.Decoder(list[_Item])
_RAWS: Final = msgspec.json.Decoder(list[Raw])
_ITEM: Final = msgspec.json.Decoder(_Item)
_EVENT: Final = msgspec.json.Decoder(_Event)
_TOP: Final = msgspec.json.Decoder(dict[str, Raw])
_MARK: Final = b'"encrypted_content"'
_NONE: Final = _Item()


def of_event(data: bytes) -> str | None:
    """Return the fingerprint of the encrypted item that an `output_item.done` event brings."""
    if _MARK not in data:
        return None
    try:
        item = _EVENT.decode(data).item
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return fingerprint(item.encrypted_content) if item and item.encrypted_content else None


def of_document(data: bytes) -> tuple[str, ...]:
    """Return the fingerprints of the encrypted items in the `output` of a whole answer."""
    if _MARK not in data:
        return ()
    try:
        output = _DOCUMENT.decode(data).output
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ()
    return tuple(sealed.fingerprint for sealed in of_input(output))


def of_input(items: bytes | Raw) -> tuple[Sealed, ...]:
    """Return a request's encrypted items, the latest first."""
    try:
        read = _ITEMS.decode(items)
    except (msgspec.DecodeError, UnicodeDecodeError):
        try:
            read = [_item(raw) for raw in _RAWS.decode(items)]
        except msgspec.DecodeError:
            return ()
    found: list[Sealed] = []
    for item in reversed(read):
        if item.encrypted_content:
            name = fingerprint(item.encrypted_content)
            found.append(Sealed(name, item.type in COMPACTIONS))
            if len(found) == SEALED_MAX:
                break
    return tuple(found)


def without(body: bytes, names: Container[str] | None = None) -> bytes:
    """Return the request without the encrypted items of these names; itself if it has none.

    Without `names` all of them go. Compaction items stay in any case.
    """
    top = _TOP.decode(body)
    try:
        raws = _RAWS.decode(top["input"])
    except (KeyError, msgspec.DecodeError):
        return body
    kept = [raw for raw in raws if not _goes(_item(raw), names)]
    if len(kept) == len(raws):
        return body
    top["input"] = Raw(msgspec.json.encode(kept))
    return msgspec.json.encode(top)


def fingerprint(content: str) -> str:
    """Return a short name for what only one account can read; it says nothing of the content."""
    if len(content) > _WHOLE_MAX:
        content = f"{len(content)}:{content[:_HEAD]}{content[-_TAIL:]}"
    return blake2b(content.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _goes(item: _Item, names: Container[str] | None) -> bool:
    if not item.encrypted_content or item.type in COMPACTIONS:
        return False
    return names is None or fingerprint(item.encrypted_content) in names


def _item(raw: Raw) -> _Item:
    """Return what counts of an item; most have no encrypted content and are not decoded for it."""
    if _MARK not in bytes(raw):
        return _NONE
    try:
        return _ITEM.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _NONE
