"""How a Responses caller is told that a call ended without an answer.

Before the first byte it is OpenAI's error object; after it, a `response.failed` event, which is
the last one of the stream. SDKs take a `data` with `error` at the top for an exception, so the
event has it inside the response, where both they and the Codex CLI look.
"""

from typing import Final

import msgspec

from app.errors import GatewayError

# The Codex CLI gives up on these, and tries again on this.
_FATAL_TO_CODEX: Final = frozenset({"server_is_overloaded", "slow_down"})
_RETRYABLE: Final = "server_error"


def error_body(error: GatewayError) -> bytes:
    """Return the JSON body that says `error`; all four keys of OpenAI's object are always there."""
    fields: dict[str, object] = {
        "message": error.message,
        "type": error.type,
        "param": error.param,
        "code": error.code,
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
    code = _RETRYABLE if error.code in _FATAL_TO_CODEX else error.code
    said: dict[str, object] = {"code": code, "message": error.message, "type": error.type}
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
