"""What the upstream says when it breaks off an answer, as the error that ends the call.

Its code and its words are kept, since callers act on them; the status follows from the code. No
judgement about the account is made here: that is for who holds its lease.
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Raw, Struct

from app.dialects.chat.events import ABSENT, ResponseEvent, read
from app.errors import GatewayError, UpstreamError, UpstreamRefused

_MESSAGE: Final = "The upstream broke off the answer."

_REFUSED: Final = frozenset(
    {
        "bio_policy",
        "context_length_exceeded",
        "cyber_policy",
        "data_residency_mismatch",
        "empty_image_file",
        "failed_to_download_image",
        "image_content_policy_violation",
        "image_file_not_found",
        "image_file_too_large",
        "image_parse_error",
        "image_too_large",
        "image_too_small",
        "invalid_base64_image",
        "invalid_image",
        "invalid_image_format",
        "invalid_image_mode",
        "invalid_image_url",
        "invalid_prompt",
        "unsupported_image_media_type",
    }
)
_STATUSES: Final[Mapping[str, int]] = {
    "insufficient_quota": 429,
    "rate_limit_exceeded": 429,
    "server_is_overloaded": 503,
    "slow_down": 503,
    "usage_limit_reached": 429,
    "usage_not_included": 429,
}


class _Error(Struct):
    """The upstream's error object; relays leave out or null any of its fields."""

    code: Raw = ABSENT
    type: Raw = ABSENT
    message: Raw = ABSENT
    param: Raw = ABSENT
    resets_at: Raw = ABSENT


class _ErrorEvent(Struct):
    """An `error` event that nests its object."""

    error: _Error


def failure_of_error_event(data: bytes) -> GatewayError:
    """Return the failure that an `error` event reports, nested or flat."""
    if nested := read(data, _ErrorEvent):
        return _failure(nested.error)
    flat = read(data, _Error) or _Error()
    flat.type = ABSENT  # It only says that this is an error event.
    return _failure(flat)


def failure_of_response(data: bytes) -> GatewayError:
    """Return the failure that a response's last event reports."""
    event = read(data, ResponseEvent)
    return _failure((event and read(event.response.error, _Error)) or _Error())


def _failure(error: _Error) -> GatewayError:
    code = read(error.code, str) or read(error.type, str) or UpstreamError.code
    message = read(error.message, str) or _MESSAGE
    if code in _REFUSED:
        return UpstreamRefused(message, status=400, code=code, param=read(error.param, str))
    return UpstreamError(
        message,
        status=_STATUSES.get(code),
        code=code,
        resets_at=read(error.resets_at, float),
    )
