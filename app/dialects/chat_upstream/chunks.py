"""What is read of the chunks of a chat stream. Pure, and total: nothing here raises.

Texts stay the raw JSON strings that they were, so that they are retold without being decoded or
encoded. Servers bend the form: what has not the expected type is as if it were not there.
"""

from typing import Final, TypeVar

import msgspec
from msgspec import Raw, Struct

T = TypeVar("T")

ABSENT: Final = Raw(b"")


class Delta(Struct, gc=False):
    """What a chunk adds to the answer."""

    content: Raw = ABSENT
    refusal: Raw = ABSENT
    reasoning_content: Raw = ABSENT
    reasoning: Raw = ABSENT
    """The same under the name that other servers gave it."""
    tool_calls: Raw = ABSENT
    function_call: Raw = ABSENT
    """A call as it was said before there were several."""


class Choice(Struct, gc=False):
    """One of the answers; only the first is asked for."""

    index: int = 0
    delta: Delta | None = None
    message: Delta | None = None
    """The whole answer, from servers that do not stream what they were asked to."""
    finish_reason: str | None = None


class Chunk(Struct, gc=False):
    """One event of the stream."""

    choices: list[Choice] = []
    usage: Raw = ABSENT
    service_tier: Raw = ABSENT
    error: Raw = ABSENT
    object: Raw = ABSENT


class Function(Struct):
    """A piece of what a call says."""

    name: str | None = None
    arguments: Raw = ABSENT
    input: Raw = ABSENT


class CallPiece(Struct):
    """A piece of one call."""

    index: int | None = None
    id: str | None = None
    function: Function | None = None
    custom: Function | None = None


class Details(Struct):
    """Parts of a count."""

    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class Counted(Struct):
    """The tokens that the upstream counted."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: Details | None = None
    completion_tokens_details: Details | None = None
    prompt_cache_hit_tokens: int | None = None


class Complaint(Struct):
    """What an upstream says that went wrong."""

    message: object = None
    type: object = None
    code: object = None
    param: object = None


_CHUNK: Final = msgspec.json.Decoder(Chunk)


def chunk_of(data: bytes) -> Chunk | None:
    """Return the chunk in `data`; None if it is no JSON object."""
    try:
        return _CHUNK.decode(data)
    except (ValueError, RecursionError):
        return _odd_chunk(data)


def read(data: bytes | Raw, form: type[T]) -> T | None:
    """Return what is in `data` if it is a `form`."""
    try:
        return msgspec.json.decode(data, type=form)
    except (ValueError, RecursionError):
        return None


def text_of(raw: Raw) -> bytes:
    """Return `raw` if it is a JSON string that is not empty, else nothing."""
    data = bytes(raw)
    return data if data[:1] == b'"' and len(data) > 2 else b""


def calls_of(delta: Delta) -> list[CallPiece]:
    """Return the pieces of calls in a delta, in their order; the odd ones are left out."""
    raws = read(delta.tool_calls, list[Raw]) or []
    pieces = [piece for raw in raws if (piece := read(raw, CallPiece)) is not None]
    if not raws and (told := read(delta.function_call, Function)) is not None:
        return [CallPiece(index=0, function=told)]
    return pieces


def arguments_of(raw: Raw) -> bytes:
    """Return a piece of arguments as a JSON string; some servers send the object itself."""
    data = bytes(raw)
    if data[:1] == b"{":
        return msgspec.json.encode(data.decode("utf-8", "replace"))
    return text_of(raw)


def _odd_chunk(data: bytes) -> Chunk | None:
    """Return what can be understood of a chunk that has a field of the wrong type."""
    fields = read(data, dict[str, Raw])
    if fields is None:
        return None
    plain = {
        name: fields[name]
        for name in ("usage", "service_tier", "error", "object")
        if name in fields
    }
    raws = read(fields.get("choices", ABSENT), list[Raw]) or []
    return Chunk(choices=[_odd_choice(raw) for raw in raws], **plain)


def _odd_choice(raw: Raw) -> Choice:
    fields = read(raw, dict[str, Raw]) or {}
    said = read(fields.get("delta", fields.get("message", ABSENT)), dict[str, Raw]) or {}
    known = {name: said[name] for name in Delta.__struct_fields__ if name in said}
    return Choice(
        index=read(fields.get("index", ABSENT), int) or 0,
        delta=Delta(**known),
        finish_reason=read(fields.get("finish_reason", ABSENT), str),
    )
