"""What an event of a Responses stream means for the call, without building the event.

The name is the data's own `type`; the `event:` line is only a hint. A projection reads it and
skips the rest, which for a delta costs a quarter of a microsecond. A name that nobody knows yet
is content: it passes, and it ends the prelude. Data that is no object with a name is unreadable:
it passes too, and means nothing.

What a failure says about the account or the call is not judged here.
"""

import re
from collections.abc import Mapping
from enum import Enum
from typing import Final

import msgspec
from msgspec import Struct

from app.domain.usage import Usage
from app.wire.durations import DURATION, DURATION_S_MAX, duration_s


class Kind(Enum):
    """What an event is for the relay."""

    LIFECYCLE = "lifecycle"
    CONTENT = "content"
    ITEM_DONE = "item done"
    PRIVATE = "private"
    COMPLETED = "completed"
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    ERROR = "error"
    UNREADABLE = "unreadable"

    content: bool
    """It ends the prelude: the caller must see it, so no other account can be tried."""
    terminal: bool
    """Nothing follows it, except that `response.failed` may follow `error`."""
    private: bool
    """Only Codex clients may see it."""
    failed: bool
    """`failure_of` tells what went wrong."""

    def __init__(self, _: str) -> None:
        name = self.name
        self.terminal = name in {"COMPLETED", "INCOMPLETE", "FAILED", "ERROR"}
        self.failed = name in {"FAILED", "ERROR"}
        self.private = name == "PRIVATE"
        self.content = name in {"CONTENT", "ITEM_DONE", "COMPLETED", "INCOMPLETE"}


class Failure(Struct, frozen=True):
    """What an `error` or a `response.failed` event says, None where it says nothing.

    `resets_at` is epoch seconds; `retry_after_s` is the delay that the event names, as a number
    or in its sentence. `status` is the HTTP status that a WebSocket's error frame carries.
    """

    code: str | None = None
    type: str | None = None
    message: str = ""
    param: str | None = None
    resets_at: float | None = None
    retry_after_s: float | None = None
    plan: str | None = None
    status: int | None = None


class _Name(Struct, gc=False):
    type: str


class _Counts(Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None


class _Usage(Struct):
    input_tokens: int | None = None
    input_tokens_details: _Counts | None = None
    output_tokens: int | None = None
    output_tokens_details: _Counts | None = None


class _Metered(Struct):
    usage: _Usage | None = None
    service_tier: object = None


class _Terminal(Struct):
    response: _Metered | None = None


# The fields of a failure are read as whatever they are: a failure that is told badly is still one.
class _Error(Struct):
    code: object = None
    type: object = None
    message: object = None
    param: object = None
    resets_at: object = None
    resets_in_seconds: object = None
    plan_type: object = None


class _Failed(Struct):
    error: _Error | None = None


class _Failing(Struct):
    error: _Error | None = None
    error_type: object = None
    response: _Failed | None = None
    body: _Failed | None = None
    status: object = None
    status_code: object = None


_NAME: Final = msgspec.json.Decoder(_Name)
_KINDS: Final[Mapping[str, Kind]] = {
    "response.created": Kind.LIFECYCLE,
    "response.in_progress": Kind.LIFECYCLE,
    "response.queued": Kind.LIFECYCLE,
    "response.metadata": Kind.PRIVATE,
    "response.output_item.done": Kind.ITEM_DONE,
    "response.completed": Kind.COMPLETED,
    "response.done": Kind.COMPLETED,
    "response.incomplete": Kind.INCOMPLETE,
    "response.failed": Kind.FAILED,
    "error": Kind.ERROR,
}
_DELAY: Final = re.compile(rf"try again in ({DURATION})", re.IGNORECASE)


def classify(data: bytes) -> Kind:
    """Return what the event with this data is."""
    try:
        name = _NAME.decode(data).type
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Kind.UNREADABLE
    kind = _KINDS.get(name)
    if kind is None:
        private = name.startswith(("codex.", "responsesapi."))
        return Kind.PRIVATE if private else Kind.CONTENT
    return kind


def receipt_of(data: bytes) -> tuple[Usage | None, str | None]:
    """Return the tokens that a terminal event counts and the tier it names, None if it does not."""
    try:
        response = msgspec.json.decode(data, type=_Terminal).response
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None, None
    if response is None:
        return None, None
    return _usage(response.usage), _text(response.service_tier)


def _usage(usage: _Usage | None) -> Usage | None:
    if usage is None:
        return None
    read = usage.input_tokens_details or _Counts()
    written = usage.output_tokens_details or _Counts()
    return Usage(
        input=_count(usage.input_tokens),
        cached=_count(read.cached_tokens),
        cache_write=_count(read.cache_write_tokens),
        output=_count(usage.output_tokens),
        reasoning=_count(written.reasoning_tokens),
    )


def failure_of(data: bytes) -> Failure:
    """Return what a failing event says: `error`, flat or nested, or `response.failed`.

    Never raises: of data that says nothing, the failure says nothing.
    """
    try:
        event = msgspec.json.decode(data, type=_Failing)
        within = event.response or event.body
        error = event.error or (within.error if within else None)
        if error is None:
            error = msgspec.json.decode(data, type=_Error)
            if error.type in ("error", "response.failed"):
                error.type = event.error_type
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Failure()
    message = _text(error.message) or ""
    status = _number(event.status) or _number(event.status_code)
    return Failure(
        code=_text(error.code),
        type=_text(error.type),
        message=message,
        param=_text(error.param),
        resets_at=_number(error.resets_at),
        retry_after_s=_delay(_number(error.resets_in_seconds), message),
        plan=_text(error.plan_type),
        status=int(status) if status else None,
    )


def _delay(seconds: float | None, message: str) -> float | None:
    if seconds is not None:
        return min(seconds, DURATION_S_MAX)
    found = _DELAY.search(message)
    return duration_s(found[1]) if found else None


def _count(value: int | None) -> int:
    return max(0, value or 0)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        return None
    return float(value)
