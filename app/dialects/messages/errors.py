"""How a Messages caller is told that a call ended without an answer.

The body before the first byte and the `error` event after it hold the same object. The type
follows from the status, as Anthropic's clients expect; the sentence names the field. A prompt that
is too long is said in the words by which clients know that they have to compact.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from app.dialects.messages.schema import Json
from app.dialects.messages.violations import dotted
from app.errors import CapacityError, GatewayError, UpstreamError

_TYPES: Final[Mapping[int, str]] = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    501: "invalid_request_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_OVERLOADED: Final = ("server_is_overloaded", "slow_down")
_TOO_LONG: Final = "context_length_exceeded"
_PROMPT_TOO_LONG: Final = "prompt is too long"


def error_body(error: GatewayError, request_id: str | None = None) -> bytes:
    """Return the JSON body that says `error`."""
    said: Json = {"type": error_type(error), "message": _message(error)}
    fields: Json = {"type": "error", "error": said}
    if error.resets_at is not None:
        said["resets_at"] = int(error.resets_at)
    if request_id:
        fields["request_id"] = request_id
    return msgspec.json.encode(fields)


def error_event(error: GatewayError, request_id: str | None = None) -> bytes:
    """Return the event that says `error` in a stream that has begun; it is the last one."""
    return b"event: error\ndata: %b\n\n" % error_body(error, request_id)


def error_type(error: GatewayError) -> str:
    """Return Anthropic's name for this kind of error."""
    busy = isinstance(error, UpstreamError) and error.status == 503
    if busy or isinstance(error, CapacityError) or error.code in _OVERLOADED:
        return "overloaded_error" if error.status != 429 else "rate_limit_error"
    if error.status in _TYPES:
        return _TYPES[error.status]
    return "invalid_request_error" if error.status < 500 else "api_error"


def _message(error: GatewayError) -> str:
    if error.code == _TOO_LONG:
        return f"{_PROMPT_TOO_LONG}: {error.message}"
    if not error.param:
        return error.message
    path = dotted(error.param)
    message = error.message.replace(error.param, path)
    return message if path in message else f"{path}: {message}"
