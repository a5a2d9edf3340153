"""A request that goes on from an earlier response, said whole. Pure.

`previous_response_id` stands for all that was said before it, `item_reference` for one item of it.
The Codex backend keeps neither, so both are written out before the request is translated: what is
sent upstream is always self-contained. Instructions and tools are not handed down, as in the public
API: each request brings its own.

Ids of items are left out of what is kept, as the backend refuses those that it does not know, and
so is reasoning that nobody could read.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Raw, Struct, structs

from app.dialects.responses.encrypted import COMPACTIONS
from app.dialects.responses.items import message
from app.domain.conversation import Conversation, own_size
from app.wire.peek import Peek

REFERENCE: Final = "item_reference"

_RAWS: Final = msgspec.json.Decoder(list[Raw])
_MEMBERS: Final = msgspec.json.Decoder(dict[str, Raw])
_REFERENCE_MARK: Final = b'"item_reference"'
_TRIGGER_MARK: Final = b'"compaction_trigger"'
_ENCRYPTED_MARK: Final = b'"encrypted_content"'


class _Head(Struct):
    type: object = None
    id: object = None
    encrypted_content: object = None


_HEAD: Final = msgspec.json.Decoder(_Head)


def refers(body: bytes) -> bool:
    """Tell cheaply whether a request may refer to items; nearly all do not."""
    return _REFERENCE_MARK in body


def references(said: Raw) -> list[str]:
    """Return the ids of the items that a request's input refers to."""
    heads = [_head(item) for item in _items(said)]
    return [head.id for head in heads if head.type == REFERENCE and isinstance(head.id, str)]


def resolved(said: Raw, known: Mapping[str, bytes]) -> Raw:
    """Return the input with the items in place of those references that are `known`."""
    items: list[bytes] = []
    for item in _items(said):
        head = _head(item)
        found = known.get(head.id) if isinstance(head.id, str) else None
        items.append(found if found and head.type == REFERENCE else bytes(item))
    return Raw(b"[" + b",".join(items) + b"]")


def whole(seen: Peek, past: Conversation | None, said: Raw) -> tuple[bytes, Peek]:
    """Return the request with `past` before its input, as bytes and as it is seen then.

    `said` stands in place of the request's own input.
    """
    pieces = [past.items(), said_in(said)] if past else [said_in(said)]
    items = b",".join(piece for piece in pieces if piece)
    fields = {**seen.fields, "input": Raw(b"[" + items + b"]")}
    fields.pop("previous_response_id", None)
    body = msgspec.json.encode(fields)
    whole = structs.replace(
        seen,
        fields=_MEMBERS.decode(body),
        previous_response_id=None,
        encrypted=seen.encrypted or _ENCRYPTED_MARK in items,
    )
    return body, whole


def said_in(said: Raw) -> bytes:
    """Return a request's input items, joined by commas; a text is a message of the user."""
    view = memoryview(said)
    if bytes(view[:1]) == b"[":
        return bytes(view[1:-1]).strip()
    text = msgspec.json.decode(said)
    return msgspec.json.encode(message("user", text)) if isinstance(text, str) else b""


def conversation(
    response_id: str,
    said: bytes,
    output: Sequence[bytes],
    *,
    previous: Conversation | None,
    stored: bool = True,
    session: str | None = None,
) -> Conversation:
    """Return what can be gone on from once `said` was answered with the items `output`.

    A compaction stands for all that was said before it.
    """
    if _TRIGGER_MARK in said:
        said, previous = _compacted(said, output, previous)
    items: list[bytes] = []
    ids: list[str | None] = []
    for item in output:
        kept = _kept(item)
        if kept is not None:
            items.append(kept[0])
            ids.append(kept[1])
    size = own_size(said, items) + (previous.size if previous else 0)
    return Conversation(
        response_id, said, tuple(items), tuple(ids), previous, stored, session, size
    )


def _compacted(
    said: bytes, output: Sequence[bytes], previous: Conversation | None
) -> tuple[bytes, Conversation | None]:
    """Return what is left of what was said before a compaction that was asked for."""
    if any(_head(item).type in COMPACTIONS for item in output):
        return b"", None
    items = _items(Raw(b"[" + said + b"]"))
    kept = [bytes(item) for item in items if _head(item).type != "compaction_trigger"]
    return b",".join(kept), previous


def _kept(item: bytes) -> tuple[bytes, str | None] | None:
    """Return an output item without its id, and the id; None for what can't be said again."""
    head = _head(item)
    if head.type == "reasoning" and not head.encrypted_content:
        return None
    if head.id is None:
        return item, None
    members = {name: value for name, value in _MEMBERS.decode(item).items() if name != "id"}
    return msgspec.json.encode(members), head.id if isinstance(head.id, str) else None


def _head(item: bytes | Raw) -> _Head:
    try:
        return _HEAD.decode(item)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Head()


def _items(said: Raw) -> list[Raw]:
    """Return the items of an input that is a list; of any other, none."""
    try:
        return _RAWS.decode(said)
    except msgspec.DecodeError:
        return []
