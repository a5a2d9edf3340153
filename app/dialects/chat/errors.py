"""How a chat caller is told that a call ended without an answer.

The body before the first byte and the event after it hold the same object. A stream that fails
ends with the event and without `[DONE]`, so that nobody takes it for a whole answer.
"""

import msgspec

from app.errors import GatewayError


def error_body(error: GatewayError) -> bytes:
    """Return the JSON body that says `error`."""
    fields: dict[str, object] = {
        "message": error.message,
        "type": error.type,
        "param": error.param,
        "code": error.code,
    }
    if error.resets_at is not None:
        fields["resets_at"] = int(error.resets_at)
    return msgspec.json.encode({"error": fields})


def error_event(error: GatewayError) -> bytes:
    """Return the event that says `error` in a stream that has begun; it is the last one."""
    return b"data: " + error_body(error) + b"\n\n"
