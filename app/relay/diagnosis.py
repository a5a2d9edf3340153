"""What a failed attempt showed: (status, headers, error body or event) to an outcome. Pure.

One table, read from top to bottom; the first row that fits decides. The rows are those of the
upstream's documented and observed errors; an error that nobody knows is judged by its status.
OpenAI sends a new error: add a row here and a case named after it in the tests.
"""

import re
from base64 import b64decode
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from app.dialects.responses.events import failure_of
from app.domain.outcome import (
    Broken,
    Misread,
    Outcome,
    Overloaded,
    RateLimited,
    Refused,
    Unauthorized,
    Unreachable,
    Unsuited,
)
from app.domain.quota import MAIN_FAMILY, RESET_SLACK_S, QuotaView, QuotaWindow
from app.wire.quota import retry_after_s

UNPAID_REST_S: Final = 1_800.0
"""A refusal to pay or to let in rarely ends sooner, and nobody says when it does."""


_NO_LIMITS: Final = QuotaView()


class Fault(Struct, frozen=True):
    """An upstream's error in one form, whichever of its shapes it came in."""

    status: int | None
    """None for an error inside a stream whose status was 200."""
    code: str | None = None
    type: str | None = None
    message: str = ""
    param: str | None = None
    resets_at: float | None = None
    resets_in_s: float | None = None
    """The delay that the error names, as a number or in its sentence."""
    body: bytes = b""
    headers: Sequence[tuple[str, str]] = ()
    limits: QuotaView = _NO_LIMITS
    """What the reply said about the account's limits, in its headers or in an event."""


class _Body(Struct):
    error: object = None
    detail: object = None


_BODY: Final = msgspec.json.Decoder(_Body)
_ERROR_HEADER: Final = "x-error-json"
_AUTHORIZATION_HEADER: Final = "x-openai-authorization-error"
_CODE: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")

_DEAD_CODES: Final = frozenset(
    {
        "account_deactivated",
        "account_suspended",
        "account_deleted",
        "deactivated_workspace",
        "usage_not_included",
    }
)
_CREDENTIAL_CODES: Final = frozenset(
    {
        "token_expired",
        "token_invalidated",
        "token_revoked",
        "app_session_terminated",
        "invalid_api_key",
    }
)
_UNPAID_CODES: Final = frozenset(
    {
        "insufficient_quota",
        "billing_hard_limit_reached",
        "billing_not_active",
        "workspace_owner_credits_depleted",
        "workspace_member_credits_depleted",
    }
)
_LIMIT_CODES: Final = frozenset(
    {
        "usage_limit_reached",
        "workspace_owner_usage_limit_reached",
        "workspace_member_usage_limit_reached",
    }
)
_OVERLOAD_CODES: Final = frozenset(
    {"server_is_overloaded", "slow_down", "overloaded_error", "service_unavailable_error"}
)
_REQUEST_CODES: Final = frozenset(
    {
        "context_length_exceeded",
        "invalid_prompt",
        "cyber_policy",
        "bio_policy",
        "content_policy_violation",
        "moderation_blocked",
        "data_residency_mismatch",
        "previous_response_not_found",
        "image_too_large",
        "image_too_small",
        "image_parse_error",
        "image_content_policy_violation",
        "invalid_image",
        "invalid_image_format",
        "invalid_base64_image",
        "invalid_image_url",
        "invalid_image_mode",
        "image_file_too_large",
        "unsupported_image_media_type",
        "empty_image_file",
        "failed_to_download_image",
        "image_file_not_found",
    }
)
_BURST_CODES: Final = frozenset({"rate_limit_exceeded", "rate_limit_error"})


def read(
    status: int,
    headers: Sequence[tuple[str, str]],
    body: bytes,
    *,
    limits: QuotaView = _NO_LIMITS,
) -> Fault:
    """Return the fault that an error reply tells of, whatever its shape.

    `limits` is what the headers say about them.
    """
    said = failure_of(body)
    code, message = said.code, said.message
    if not (code or said.type or message):
        code, message = _said_otherwise(body)
    return Fault(
        status,
        code=code or _code_of_header(headers),
        type=said.type,
        message=message,
        param=said.param,
        resets_at=said.resets_at,
        resets_in_s=said.retry_after_s,
        body=body,
        headers=headers,
        limits=limits,
    )


def diagnose(fault: Fault, *, model: str, now: float) -> Outcome:
    """Return what `fault` shows; `model` is the one that was asked for, `now` epoch seconds."""
    asked = _Asked(model, now)
    return next(outcome(fault, asked) for fits, outcome in _TABLE if fits(fault))


class _Asked(Struct, frozen=True):
    model: str
    now: float


_Sign = Callable[[Fault], bool]
_Finding = Callable[[Fault, _Asked], Outcome]


def _named(*names: str) -> _Sign:
    return lambda fault: fault.code in names or fault.type in names


def _saying(words: str) -> _Sign:
    return lambda fault: words in fault.message.lower()


def _answering(*statuses: int | None) -> _Sign:
    return lambda fault: fault.status in statuses


def _within(first: int, last: int) -> _Sign:
    return lambda fault: fault.status is not None and first <= fault.status <= last


_CALLERS_STATUS: Final = _within(400, 499)


def _any(_: Fault) -> bool:
    return True


def _page(fault: Fault) -> bool:
    """Tell whether this is a page for people: from what stands between us and the upstream."""
    kind = next((value for name, value in fault.headers if name == "content-type"), "")
    return "html" in kind.lower() or fault.body.lstrip()[:1] == b"<"


def _challenge(fault: Fault) -> bool:
    """Tell whether the way to the upstream wants to see a person, or us to go away."""
    if any(name == "cf-mitigated" for name, _ in fault.headers):
        return True
    if fault.status == 503:
        return _page(fault) and b"Just a moment" in fault.body
    # The API never answers with a page, but for a body that was too large for its front door.
    return fault.status != 413 and _CALLERS_STATUS(fault) and _page(fault)


def _credits_gone(fault: Fault) -> bool:
    """Tell whether the headers name a purse that is empty."""
    return fault.limits.reached_type in _UNPAID_CODES


def _exhausted(fault: Fault) -> bool:
    """Tell whether a limit is reached by its headers alone."""
    return fault.limits.reached_type is not None or bool(_full_windows(fault.limits))


def _pointing(fault: Fault) -> bool:
    """Tell whether it names a field of the request."""
    return fault.param is not None


def _limited(fault: Fault, asked: _Asked) -> Outcome:
    limits = fault.limits
    reset_at = _reset_at(fault, asked.now)
    if reset_at is None and _credits_gone(fault):
        reset_at = asked.now + UNPAID_REST_S
    # Another limit than the main one governed the request: the account's other models are free.
    apart = limits.active_family not in (None, MAIN_FAMILY) and not any(
        window.family == MAIN_FAMILY for window in _full_windows(limits)
    )
    return RateLimited(reset_at, model=asked.model if apart else None)


def _unpaid(fault: Fault, asked: _Asked) -> Outcome:
    reset_at = _reset_at(fault, asked.now)
    return RateLimited(asked.now + UNPAID_REST_S if reset_at is None else reset_at)


def _burst(fault: Fault, asked: _Asked) -> Outcome:
    wait_s = retry_after_s(fault.headers, now=asked.now)
    if wait_s is None:
        wait_s = fault.resets_in_s
    until = None if wait_s is None else asked.now + wait_s
    return RateLimited(until, model=asked.model, burst=True)


def _crowded(_: Fault, asked: _Asked) -> Outcome:
    return RateLimited(None, model=asked.model, burst=True)


def _dead(fault: Fault, _: _Asked) -> Outcome:
    return Unauthorized(dead=True, reason=fault.code or fault.type or "deleted")


def _unauthorized(fault: Fault, _: _Asked) -> Outcome:
    return Unauthorized(dead=False, reason=fault.code or "unauthorized")


def _overloaded(fault: Fault, _: _Asked) -> Outcome:
    return Overloaded(fault.message or fault.code or f"upstream answered {fault.status}")


def _misread(fault: Fault, _: _Asked) -> Outcome:
    return Misread(fault.status or 400, fault.body)


def _unsuited(fault: Fault, asked: _Asked) -> Outcome:
    return Unsuited(asked.model, fault.message or "The model is not available.")


def _unreachable(fault: Fault, _: _Asked) -> Outcome:
    return Unreachable(fault.code or f"challenge page ({fault.status})")


def _kept_out(_: Fault, __: _Asked) -> Outcome:
    return Unreachable("the proxy asks for a password")


def _refused(fault: Fault, _: _Asked) -> Outcome:
    status = fault.status if fault.status is not None and 400 <= fault.status < 500 else 400
    return Refused(
        status,
        code=fault.code,
        type=fault.type or "invalid_request_error",
        message=fault.message or f"The upstream refused the request ({status}).",
        param=fault.param,
    )


def _broken(fault: Fault, _: _Asked) -> Outcome:
    answered = f"upstream answered {fault.status}" if fault.status is not None else "failed"
    return Broken(fault.code or fault.message or answered, sent=True)


def _all(*signs: _Sign) -> _Sign:
    return lambda fault: all(sign(fault) for sign in signs)


_TABLE: Final[Sequence[tuple[_Sign, _Finding]]] = (
    # What the upstream says counts for more than its status.
    (_named(*_LIMIT_CODES), _limited),
    (_named(*_DEAD_CODES), _dead),
    (_saying("agent runtime has been deleted"), _dead),
    (_named(*_UNPAID_CODES), _unpaid),
    (_saying("at capacity"), _crowded),
    (_named(*_OVERLOAD_CODES), _overloaded),
    (_named(*_BURST_CODES), _burst),
    (_named("invalid_encrypted_content"), _misread),
    (_saying("is not supported when using codex"), _unsuited),
    (_named("model_not_found"), _unsuited),
    (_named(*_REQUEST_CODES), _refused),
    (_named("missing_scope"), _broken),
    # The connection's limits, not the request's: another one takes it.
    (_named("websocket_connection_limit_reached", "websocket_stream_limit_reached"), _broken),
    (_saying("missing scope"), _broken),
    (_named(*_CREDENTIAL_CODES), _unauthorized),
    (_named("unsupported_country_region_territory"), _unreachable),
    # It says nothing that is known: its status counts.
    (_all(_answering(None), _named("invalid_request_error")), _refused),
    (_challenge, _unreachable),
    (_answering(407), _kept_out),
    (_all(_answering(429), _exhausted), _limited),
    (_answering(429), _burst),
    (_answering(401), _unauthorized),
    (_answering(402, 403), _unpaid),
    (_all(_answering(404), _pointing), _refused),
    (_answering(404, 405, 408, 421, 425, 426), _broken),
    (_CALLERS_STATUS, _refused),
    (_answering(503, 529), _overloaded),
    (_any, _broken),
)
"""From a sign to what it shows; the first sign that fits decides."""


def _said_otherwise(body: bytes) -> tuple[str | None, str]:
    """Return code and message where the error is a word, a `detail`, or no JSON at all."""
    try:
        said = _BODY.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        page = body.lstrip()[:1] == b"<"
        return None, "" if page else body[:200].decode("utf-8", "replace")
    if isinstance(said.error, str):
        return said.error, ""
    if isinstance(said.detail, str):
        return None, said.detail
    detail = said.detail if isinstance(said.detail, dict) else {}
    code, message = detail.get("code"), detail.get("message")
    return (
        code if isinstance(code, str) else None,
        message if isinstance(message, str) else "",
    )


def _code_of_header(headers: Sequence[tuple[str, str]]) -> str | None:
    """Return the code that stands in a header with some 401s: JSON in base64, or a word."""
    word = None
    for name, value in headers:
        if name == _ERROR_HEADER:
            try:
                return failure_of(b64decode(value, validate=True)).code
            except ValueError:
                return None
        if name == _AUTHORIZATION_HEADER and _CODE.fullmatch(value):
            word = value
    return word


def _full_windows(limits: QuotaView) -> list[QuotaWindow]:
    return [window for window in limits.windows if window.used_ratio >= 1.0]


def _reset_at(fault: Fault, now: float) -> float | None:
    """Return the reset that the error names, else the latest one of a window that is used up.

    Where a window of the limit that governed the request is among them, the others don't count.
    """
    if fault.resets_at is not None:
        # Named in whole seconds, cut off: whoever comes then may be a moment too early.
        return fault.resets_at + RESET_SLACK_S
    if fault.resets_in_s is not None:
        return now + fault.resets_in_s
    full = _full_windows(fault.limits)
    governing = [window for window in full if window.family == fault.limits.active_family]
    resets = (window.reset_at for window in governing or full)
    return max((at for at in resets if at is not None), default=None)
