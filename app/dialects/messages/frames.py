"""The events of a Messages stream, encoded: what they look like, not when they come.

A frame is one whole server-sent event. Pieces of text are put in as the raw JSON strings that they
are, so nothing is decoded or encoded on their way.
"""

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

import msgspec

from app.dialects.messages.schema import Json

PING: Final = b'event: ping\ndata: {"type":"ping"}\n\n'
MESSAGE_STOP: Final = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
DELTA_TAIL: Final = b"}}\n\n"

Kind: TypeAlias = Literal["text", "thinking", "signature", "json", "citation"]
_FIELDS: Final[Mapping[Kind, bytes]] = {
    "text": b'"text_delta","text"',
    "thinking": b'"thinking_delta","thinking"',
    "signature": b'"signature_delta","signature"',
    "json": b'"input_json_delta","partial_json"',
    "citation": b'"citations_delta","citation"',
}


def frame(name: str, fields: Json) -> bytes:
    """Return the event `name`; its type stands in its data as well."""
    data = msgspec.json.encode({"type": name} | fields)
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data)


def message_start(id: str, model: str) -> bytes:
    """Return the event that begins an answer. Nobody has counted anything yet."""
    message: Json = {
        "id": id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {
            "input_tokens": 0,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 0,
        },
    }
    return frame("message_start", {"message": message})


def block_start(index: int, block: Json) -> bytes:
    """Return the event that begins a block."""
    return frame("content_block_start", {"index": index, "content_block": block})


def delta_head(index: int, kind: Kind) -> bytes:
    """Return what stands before the raw value of a piece of block `index`."""
    parts = (index, _FIELDS[kind])
    return (
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,'
        b'"delta":{"type":%b:' % parts
    )


def delta(index: int, kind: Kind, raw: bytes) -> bytes:
    """Return the event that says one more piece of a block; `raw` is JSON."""
    return delta_head(index, kind) + raw + DELTA_TAIL


def block_stop(index: int) -> bytes:
    """Return the event that ends a block."""
    return b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n' % index


def message_delta(stop_reason: str, stop_sequence: str | None, usage: Json) -> bytes:
    """Return the event that says why the answer is over, and what it took."""
    end: Json = {"stop_reason": stop_reason, "stop_sequence": stop_sequence}
    return frame("message_delta", {"delta": end, "usage": usage})
