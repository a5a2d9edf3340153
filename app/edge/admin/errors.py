"""How the admin API says what went wrong: one shape, with the fields that are at fault."""

import logging
import re
from math import ceil
from typing import Any, Final

from litestar import MediaType, Request, Response
from litestar.exceptions import HTTPException, ValidationException
from msgspec import Struct

from app.edge.request import request_id
from app.errors import GatewayError

logger = logging.getLogger(__name__)

_UNKNOWN: Final = re.compile(r"unknown field `([^`]*)`")
_MISSING: Final = re.compile(r"missing required field `([^`]*)`")
_PATH: Final = re.compile(r"at `(?:key in )?\$\.?([^`]*)`")
_CODES: Final = {
    400: "invalid_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "payload_too_large",
    415: "invalid_request",
    429: "too_many_attempts",
}

HEADERS: Final = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
"""Every answer of the admin API has them."""


class FieldError(Struct, frozen=True):
    """What is wrong with one field; `field` is its path."""

    field: str
    message: str


class ErrorDetail(Struct, frozen=True):
    """What went wrong."""

    code: str
    """A word that stays."""
    message: str
    """A sentence for people."""
    fields: list[FieldError]
    request_id: str


class ErrorBody(Struct, frozen=True):
    """The body of every answer that is no success."""

    error: ErrorDetail


def render(request: Request[Any, Any, Any], error: Exception) -> Response[ErrorBody]:
    """Return the answer for whatever was raised."""
    scope = request.scope
    given = request_id(scope["headers"])
    status, code, message, fields, headers = _told(error, scope["method"], scope["path"])
    body = ErrorBody(ErrorDetail(code, message, fields, given))
    return Response(
        body,
        status_code=status,
        media_type=MediaType.JSON,
        headers={
            **{name.decode(): value.decode() for name, value in HEADERS},
            "x-request-id": given,
            "x-codex2api-reason": code,
            **headers,
        },
    )


def _told(
    error: Exception, method: str, path: str
) -> tuple[int, str, str, list[FieldError], dict[str, str]]:
    match error:
        case GatewayError():
            fields = [FieldError(error.param, error.message)] if error.param else []
            headers = {}
            if error.retry_after_s is not None:
                headers["retry-after"] = str(max(1, ceil(error.retry_after_s)))
            return error.status, error.code, error.message, fields, headers
        case ValidationException():
            fields = _fields(error)
            message = fields[0].message if fields else error.detail
            return 400, "invalid_request", message, fields, {}
        case HTTPException(status_code=status, detail=detail) if status < 500:
            message = f"There is no {method} {path[:200]} here." if status in (404, 405) else detail
            headers = {} if error.headers is None else dict(error.headers)
            return status, _CODES.get(status, "invalid_request"), message, [], headers
        case _:
            logger.error("an admin request failed inside the gateway", exc_info=error)
            message = "The gateway failed; this is a defect of it."
            return 500, "internal_error", message, [], {}


def _fields(error: ValidationException) -> list[FieldError]:
    """Return the fields that validation names, in its own words."""
    found = []
    extra = error.extra if isinstance(error.extra, list) else []
    for each in extra:
        message = str(each.get("message", ""))
        found.append(FieldError(_named(message) or str(each.get("key", "")), message))
    return [each for each in found if each.field] or [
        FieldError(name, error.detail) for name in [_named(error.detail)] if name
    ]


def _named(message: str) -> str:
    """Return the path that a message of msgspec's is about."""
    path = _PATH.search(message)
    inner = _UNKNOWN.search(message) or _MISSING.search(message)
    parts = [path[1] if path else "", inner[1] if inner else ""]
    return ".".join(part for part in parts if part)
