"""How a Responses caller is told that a call ended without an answer.

Before the first byte it is OpenAI's error object; after it, a `response.failed` event, which is
the last one of the stream. SDKs take a `data` with `error` at the top for an exception, so the
event has it inside the response, where both they and the Codex CLI look.

The Codex CLI gives up for good on the codes of an overload, which passes by itself. So none of the
shapes here has them, and `retryable` takes them out of a failure that the upstream told itself.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Raw

from app.dialects.responses.events import classify
from app.errors import GatewayError
from app.wire.sse import SseEvent

_FATAL_TO_CODEX: Final = frozenset({"server_is_overloaded", "slow_down"})
_RETRYABLE: Final = "server_error"
_RETRYABLE_RAW: Final = Raw(msgspec.json.encode(_RETRYABLE))
_MARKS: Final = tuple(f'"{code}"'.encode() for code in sorted(_FATAL_TO_CODEX))
_MEMBERS: Final = msgspec.json.Decoder(dict[str, Raw])


def error_body(error: GatewayError) -> bytes:
    """Return the JSON body that says `error`; all four keys of OpenAI's object are always there."""
    fields: dict[str, object] = {
        "message": error.message,
        "type": error.type,
        "param": error.param,
        "code": _told(error.code),
    }
    if error.resets_at is not None:
        fields["resets_at"] = int(error.resets_at)
    return msgspec.json.encode({"error": fields})


def error_event(
    error: GatewayError, *, sequence_number: int, response_id: str | None, model: str
) -> bytes:
    """Return the event that says `error` in a stream that has begun; it is the last one.

    Args:
        error: Why the answer ends here.
        sequence_number: One more than the last event's.
        response_id: The id that the stream gave the response, None if it hadn't yet.
        model: The model as the caller asked for it.
    """
    said: dict[str, object] = {
        "code": _told(error.code),
        "message": error.message,
        "type": error.type,
    }
    if error.resets_at is not None:
        said["resets_at"] = int(error.resets_at)
    event = {
        "type": "response.failed",
        "sequence_number": sequence_number,
        "response": {
            "id": response_id,
            "object": "response",
            "status": "failed",
            "error": said,
            "incomplete_details": None,
            "model": model,
            "output": [],
            "usage": None,
        },
    }
    return b"event: response.failed\ndata: " + msgspec.json.encode(event) + b"\n\n"


def tells_overload(raw: bytes) -> bool:
    """Tell whether these events have to go through `retryable`; false for nearly all."""
    return any(mark in raw for mark in _MARKS)


def retryable(event: SseEvent) -> SseEvent:
    """Return the event; a failure without the codes that end a Codex client.

    Everything else in it stays as the upstream said it.
    """
    if not tells_overload(event.data) or not classify(event.data).failed:
        return event
    members = _MEMBERS.decode(event.data)
    response = _inside(members, "response")
    for holder in (members, response):
        error = _inside(holder, "error")
        if _retold(error):
            holder["error"] = Raw(msgspec.json.encode(error))
    if response:
        members["response"] = Raw(msgspec.json.encode(response))
    _retold(members)
    data = msgspec.json.encode(members)
    name = f"event: {event.name}\n".encode() if event.name else b""
    return SseEvent(event.name, data, b"%bdata: %b\n\n" % (name, data))


def _inside(members: Mapping[str, Raw], name: str) -> dict[str, Raw]:
    """Return the members of an object in an object, none if it is none."""
    try:
        return _MEMBERS.decode(members[name])
    except (KeyError, msgspec.DecodeError):
        return {}


def _retold(members: dict[str, Raw]) -> bool:
    """Change the code that stands here, if it is one of those; False if it isn't."""
    code = members.get("code")
    if code is None or bytes(code) not in _MARKS:
        return False
    members["code"] = _RETRYABLE_RAW
    return True


def _told(code: str) -> str:
    return _RETRYABLE if code in _FATAL_TO_CODEX else code
