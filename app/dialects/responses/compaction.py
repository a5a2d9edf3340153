"""A conversation made short: asked for in one form, answered in the other. Pure.

The backend compacts what is sent to it with a `compaction_trigger` as the last item, and streams
back one item that stands for all before it. Callers of `/responses/compact` send no trigger and
want a document: what the user said, followed by that item. The item is opaque, and only the
account that made it can read it.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Raw, Struct

from app.dialects.responses.encrypted import COMPACTIONS
from app.dialects.responses.events import Kind, classify, receipt_of
from app.dialects.responses.replies import completed_usage
from app.dialects.responses.schema import json_type
from app.domain.usage import Usage
from app.errors import InvalidRequest, StreamIncomplete, UpstreamError
from app.wire.peek import Peek
from app.wire.sse import SseEvent
from app.wire.violations import missing_field

TRIGGER: Final = "compaction_trigger"

_TRIGGER_ITEM: Final = b'{"type":"compaction_trigger"}'
_MEMBERS: Final = msgspec.json.Decoder(dict[str, Raw])
_RAWS: Final = msgspec.json.Decoder(list[Raw])
_DROPPED: Final = ("stream", "stream_options", "store", "background")
_UNARY: Final = frozenset(
    {
        "input",
        "instructions",
        "model",
        "parallel_tool_calls",
        "prompt_cache_key",
        "reasoning",
        "service_tier",
        "text",
        "tools",
    }
)
"""What the endpoint that is there for compaction alone takes."""


class _Head(Struct):
    type: object = None
    role: object = None


class _Done(Struct):
    item: Raw


class _Response(Struct):
    id: str | None = None
    created_at: float | None = None
    usage: Raw = Raw(b"null")


class _Ended(Struct):
    response: _Response | None = None


def with_trigger(seen: Peek) -> bytes:
    """Return the Responses request that compacts what `seen` says, to be answered as a stream.

    Raises:
        InvalidRequest: There is nothing to compact, or a stream was asked for.
    """
    if seen.stream:
        raise InvalidRequest(
            "A compaction is not streamed here: leave 'stream' out.", param="stream"
        )
    fields: dict[str, object] = {**seen.fields}
    given = seen.fields.get("input", Raw(b"null"))
    kind = json_type(given)
    if kind == "null" and seen.previous_response_id is None:
        raise missing_field("input")
    if kind == "a string":
        said = {"type": "message", "role": "user", "content": given}
        fields["input"] = [said, Raw(_TRIGGER_ITEM)]
    elif kind in ("an array", "null"):
        items = _items(given) or []
        if not items or _head(items[-1]).type != TRIGGER:
            items.append(Raw(_TRIGGER_ITEM))
        fields["input"] = items
    for name in _DROPPED:
        fields.pop(name, None)
    return msgspec.json.encode(fields)


def to_unary(body: bytes) -> bytes:
    """Return the request that asks the same of the endpoint that is there for compaction alone."""
    fields: dict[str, object] = {n: v for n, v in _MEMBERS.decode(body).items() if n in _UNARY}
    given = fields.get("input")
    items = (_items(given) if isinstance(given, Raw) else None) or []
    if items and _head(items[-1]).type == TRIGGER:
        items.pop()
    return msgspec.json.encode(fields | {"input": items})


def unary_usage(document: bytes) -> Usage | None:
    """Return what the answer of that endpoint says of usage."""
    return receipt_of(b'{"response":%b}' % document)[0]


def completed_unary(document: bytes) -> bytes:
    """Return that answer with all that typed SDKs look for; the rest is as it was."""
    try:
        told = _MEMBERS.decode(document)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise UpstreamError("The upstream's answer is no compaction.") from None
    usual = {"id": "", "object": "response.compaction", "created_at": 0, "output": []}
    return msgspec.json.encode({**usual, **told, "usage": completed_usage(told.get("usage"))})


def fields_of(body: bytes) -> dict[str, Raw]:
    """Return the fields of a request that is known to be one."""
    return _MEMBERS.decode(body)


def user_messages(input: Raw) -> list[Raw]:
    """Return what the user said in a request that was said whole."""
    items = _items(input) or []
    return [item for item in items if _is_users(_head(item))]


class CompactionFold:
    """The document that a streamed compaction comes to. Feed it every event, then take `body`.

    `kept` are the items that stand before the compaction.
    """

    def __init__(self, *, kept: Sequence[Raw]) -> None:
        self._kept = kept
        self._compaction: Raw | None = None
        self._ended: bytes | None = None

    def feed(self, events: Sequence[SseEvent]) -> None:
        """Take note of `events`."""
        for event in events:
            match classify(event.data):
                case Kind.ITEM_DONE:
                    self._note(event.data)
                case Kind.COMPLETED | Kind.INCOMPLETE:
                    self._ended = event.data

    def body(self) -> bytes:
        """Return the document.

        Raises:
            StreamIncomplete: The reply had no end.
            UpstreamError: There is no compaction in it.
        """
        if self._ended is None:
            raise StreamIncomplete("The upstream's stream ended without its terminal event.")
        if self._compaction is None:
            raise UpstreamError("The upstream's answer has no compaction in it.")
        try:
            response = msgspec.json.decode(self._ended, type=_Ended).response or _Response()
        except (msgspec.DecodeError, UnicodeDecodeError):
            response = _Response()
        return msgspec.json.encode(
            {
                "id": response.id,
                "object": "response.compaction",
                "created_at": int(response.created_at or 0),
                "output": [*self._kept, self._compaction],
                "usage": completed_usage(response.usage),
            }
        )

    def _note(self, data: bytes) -> None:
        try:
            item = msgspec.json.decode(data, type=_Done).item
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        if _head(item).type in COMPACTIONS:
            self._compaction = Raw(bytes(item))


def _items(value: Raw) -> list[Raw] | None:
    try:
        return _RAWS.decode(value)
    except msgspec.DecodeError:
        return None


def _is_users(head: _Head) -> bool:
    return head.role == "user" and head.type in (None, "message")


def _head(item: Raw) -> _Head:
    try:
        return msgspec.json.decode(item, type=_Head)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Head()
