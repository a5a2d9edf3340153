"""What happens outside the data plane's own handlers: unknown paths, wrong methods, defects."""

import logging
from typing import Any

from litestar import MediaType, Request, Response
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException

from app.dialects.messages.errors import error_body as messages_error_body
from app.dialects.responses.errors import error_body
from app.edge.absent import absent
from app.edge.request import request_id
from app.errors import CallerError, GatewayError, MethodNotAllowed

logger = logging.getLogger(__name__)


def render(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Return the error in the shape of whoever asks for such a path, whatever raised it."""
    # The scope's own values: parts of a URL are parsed late, and may not be parsable.
    scope = request.scope
    gateway = _gateway_error(scope["method"], scope["path"], error)
    headers = {
        "x-request-id": request_id(scope["headers"]),
        "x-codex2api-reason": gateway.code,
    }
    if isinstance(gateway, MethodNotAllowed):
        headers["allow"] = _allow(error)
    said = error_body
    if _speaks_messages(scope["path"]):
        said = messages_error_body
        headers["request-id"] = headers["x-request-id"]
    return Response(
        said(gateway),
        status_code=gateway.status,
        media_type=MediaType.JSON,
        headers=headers,
    )


def _gateway_error(method: str, path: str, error: Exception) -> GatewayError:
    match error:
        case GatewayError():
            return error
        case NotFoundException():
            return absent(method, path)
        case MethodNotAllowedException():
            return MethodNotAllowed(f"{method} is not allowed for {path[:200]}.")
        case HTTPException(status_code=status, detail=detail) if status < 500:
            return CallerError(detail, status=status)
        case _:
            logger.error("a request failed inside the gateway", exc_info=error)
            return GatewayError("The gateway failed; this is a defect of it.")


def _speaks_messages(path: str) -> bool:
    """Tell whether a path is one that only Anthropic's clients ask for."""
    return path.removeprefix("/v1").startswith("/messages")


def _allow(error: Exception) -> str:
    given = error.headers if isinstance(error, HTTPException) else None
    return given.get("allow", "") if given else ""
