"""What a failed attempt showed: (status, headers, error body or event) to an outcome. Pure.

One table, read from top to bottom; the first row that fits decides. The rows are those of the
upstream's documented and observed errors; an error that nobody knows is judged by its status.
OpenAI sends a new error: add a row here and a case named after it in the tests.
"""

import re
from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

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
from app.wire.quota import quota, retry_after_s


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
    body: bytes = b""
    headers: Sequence[tuple[str, str]] = ()


class _Error(Struct):
    message: str | None = None
    type: str | None = None
    code: str | int | None = None
    param: str | None = None
    resets_at: float | None = None
    resets_in_seconds: float | None = None


class _Detail(Struct):
    code: str | None = None
    message: str | None = None


class _Body(Struct):
    error: _Error | str | None = None
    detail: msgspec.Raw = msgspec.Raw(b"null")
    code: str | None = None
    message: str | None = None


_BODY: Final = msgspec.json.Decoder(_Body, strict=False)
_DETAIL: Final = msgspec.json.Decoder(_Detail | str | None, strict=False)

_DEAD_CODES: Final = frozenset(
    {
        "account_deactivated",
        "account_suspended",
        "account_deleted",
        "deactivated_workspace",
        "usage_not_included",
    }
)
_OVERLOAD_CODES: Final = frozenset({"server_is_overloaded", "slow_down", "overloaded_error"})
_REQUEST_CODES: Final = frozenset(
    {
        "context_length_exceeded",
        "invalid_prompt",
        "cyber_policy",
        "bio_policy",
        "data_residency_mismatch",
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
_TRY_AGAIN: Final = re.compile(
    r"try again in\s+([\d.]+)\s*(ms|s|seconds?|m|minutes?)", re.IGNORECASE
)
_UNIT_S: Final = {"ms": 0.001, "s": 1.0, "second": 1.0, "seconds": 1.0}


def read(status: int, headers: Sequence[tuple[str, str]], body: bytes) -> Fault:
    """Return the fault that an error reply tells of, whatever its shape."""
    try:
        parsed = _BODY.decode(body)
        detail = _DETAIL.decode(parsed.detail)
    except (msgspec.DecodeError, RecursionError):
        return Fault(status, message=_excerpt(body), body=body, headers=headers)
    error = parsed.error
    if isinstance(error, _Error):
        return Fault(
            status,
            code=None if error.code is None else str(error.code),
            type=error.type,
            message=error.message or "",
            param=error.param,
            resets_at=error.resets_at,
            resets_in_s=error.resets_in_seconds,
            body=body,
            headers=headers,
        )
    code = parsed.code or (error if isinstance(error, str) else None)
    message = parsed.message or ""
    if isinstance(detail, str):
        message = detail
    elif detail is not None:
        code, message = detail.code or code, detail.message or message
    return Fault(status, code=code, message=message, body=body, headers=headers)


def diagnose(fault: Fault, *, model: str, now: float) -> Outcome:
    """Return what `fault` shows; `model` is the one that was asked for, `now` epoch seconds."""
    return _of_code(fault, model, now) or _of_status(fault, model, now)


def _of_code(fault: Fault, model: str, now: float) -> Outcome | None:
    """Judge by what the upstream said, which is more than its status tells."""
    names = {fault.code or "", fault.type or ""}
    said = fault.message.lower()
    if "usage_limit_reached" in names:
        return RateLimited(_reset_at(fault, now))
    if names & _DEAD_CODES:
        return Unauthorized(dead=True, reason=next(iter(names & _DEAD_CODES)))
    if "insufficient_quota" in names:
        return Unauthorized(dead=True, reason="insufficient_quota")
    if "at capacity" in said:
        return RateLimited(None, model=model, burst=True)
    if names & _OVERLOAD_CODES:
        return Overloaded(fault.message or "overloaded")
    if names & _BURST_CODES or (fault.status == 429 and "rate limit" in said):
        return RateLimited(_burst_reset_at(fault, now), model=model, burst=True)
    if "invalid_encrypted_content" in names:
        return Misread(fault.status or 400, fault.body)
    if "is not supported when using codex" in said or "model_not_found" in names:
        return Unsuited(model, fault.message)
    if names & _REQUEST_CODES:
        return _refused(fault, 400)
    return None


def _of_status(fault: Fault, model: str, now: float) -> Outcome:  # noqa: PLR0911 - a table
    status = fault.status
    if status is None:
        return Broken(fault.message or fault.code or "failed", sent=True)
    if _is_html(fault) and status in (403, 429, 503):
        return Unreachable(f"challenge page ({status})")
    if status == 429:
        return RateLimited(_burst_reset_at(fault, now), model=model, burst=True)
    if status == 401:
        if fault.code == "missing_scope" or "missing scope" in fault.message.lower():
            return Broken("missing scope", sent=True)
        return Unauthorized(dead=False, reason=fault.code or "unauthorized")
    if status == 402:
        return RateLimited(None)
    if status == 403:
        if fault.code == "unsupported_country_region_territory":
            return Unreachable(fault.code)
        return RateLimited(None)
    if status in (404, 405, 426) or 300 <= status < 400:
        return Broken(f"upstream answered {status}", sent=True)
    if 400 <= status < 500:
        return _refused(fault, status)
    if status in (503, 529):
        return Overloaded(fault.message or f"upstream answered {status}")
    return Broken(f"upstream answered {status}", sent=True)


def _refused(fault: Fault, status: int) -> Refused:
    return Refused(
        status,
        code=fault.code,
        type=fault.type or "invalid_request_error",
        message=fault.message or f"The upstream refused the request ({status}).",
        param=fault.param,
    )


def _reset_at(fault: Fault, now: float) -> float | None:
    """Return the reset that the body names, else the one of an exhausted window."""
    if fault.resets_at is not None:
        return fault.resets_at
    if fault.resets_in_s is not None:
        return now + fault.resets_in_s
    exhausted = [
        window.reset_at
        for window in quota(fault.headers, now=now).windows
        if window.used_ratio >= 1.0 and window.reset_at is not None
    ]
    return max(exhausted, default=None)


def _burst_reset_at(fault: Fault, now: float) -> float | None:
    wait_s = retry_after_s(fault.headers, now=now)
    if wait_s is None and (match := _TRY_AGAIN.search(fault.message)):
        wait_s = float(match[1].rstrip(".") or 0) * _UNIT_S.get(match[2].lower(), 60.0)
    if wait_s is None:
        wait_s = fault.resets_in_s
    return None if wait_s is None else now + wait_s


def _is_html(fault: Fault) -> bool:
    kind = next((value for name, value in fault.headers if name == "content-type"), "")
    return "html" in kind or fault.body[:256].lstrip()[:1] == b"<"


def _excerpt(body: bytes) -> str:
    return "" if body.lstrip()[:1] == b"<" else body[:200].decode("utf-8", "replace")
