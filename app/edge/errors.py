"""What happens outside the data plane's own handlers: unknown paths, wrong methods, defects."""

import logging
from typing import Any

from litestar import MediaType, Request, Response
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException

from app.dialects.responses.errors import error_body
from app.errors import CallerError, GatewayError, MethodNotAllowed, UnknownRoute

logger = logging.getLogger(__name__)


def render(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Return the error in OpenAI's shape, whatever raised it."""
    gateway = _gateway_error(request, error)
    return Response(
        error_body(gateway),
        status_code=gateway.status,
        media_type=MediaType.JSON,
        headers={"x-codex2api-reason": gateway.code},
    )


def _gateway_error(request: Request[Any, Any, Any], error: Exception) -> GatewayError:
    path = request.url.path[:200]
    match error:
        case GatewayError():
            return error
        case NotFoundException():
            return UnknownRoute(f"Unknown request URL: {request.method} {path}.")
        case MethodNotAllowedException():
            return MethodNotAllowed(f"{request.method} is not allowed for {path}.")
        case HTTPException(status_code=status, detail=detail) if status < 500:
            return CallerError(detail, status=status)
        case _:
            logger.error("a request failed inside the gateway", exc_info=error)
            return GatewayError("The gateway failed; this is a defect of it.")
