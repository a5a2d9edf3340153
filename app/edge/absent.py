"""What callers may look for and this gateway does not serve: why not, in words of its own.

Whoever asks for a stored response learns why there is none. A WebSocket is refused before it opens,
with an HTTP status that tells a client what to do instead: a Codex client that is told 426 stays
with HTTP.
"""

import re
from typing import Final

from litestar.types import Receive, Send, WebSocketScope
from litestar.types.asgi_types import WebSocketResponseStartEvent

from app.dialects.responses.errors import error_body
from app.edge.headers import error_headers
from app.edge.request import request_id
from app.errors import GatewayError, NotSupportedByUpstream, UnknownRoute

_BASES: Final = ("/backend-api/codex", "/v1")
_STORED: Final = re.compile(r"/responses/[^/]+(?:/(?:cancel|input_items))?")


def absent(method: str, path: str) -> GatewayError:
    """Return the answer to a request for a path that nothing serves."""
    if _STORED.fullmatch(_below(path)):
        return UnknownRoute(
            "No response is stored on this gateway to be fetched, cancelled or deleted: keep the"
            " answers. A later request can go on from one for a while by 'previous_response_id'."
        )
    return UnknownRoute(f"Unknown request URL: {method} {path[:200]}.")


def no_websocket() -> GatewayError:
    """Return the answer to a WebSocket where the same can be had by a request."""
    return NotSupportedByUpstream(
        "There are no WebSockets at this address: send a POST request instead.",
        status=426,
    )


async def refuse_websocket(
    scope: WebSocketScope, receive: Receive, send: Send, error: GatewayError
) -> None:
    """Answer a WebSocket's opening handshake with an HTTP error."""
    await receive()
    body = error_body(error)
    headers = [
        (b"x-request-id", request_id(scope["headers"]).encode("latin-1")),
        (b"content-length", b"%d" % len(body)),
        *error_headers(error),
    ]
    start: WebSocketResponseStartEvent = {
        "type": "websocket.http.response.start",
        "status": error.status,
        "headers": headers,
    }
    await send(start)
    await send({"type": "websocket.http.response.body", "body": body, "more_body": False})


def _below(path: str) -> str:
    for base in _BASES:
        if path.startswith(f"{base}/"):
            return path[len(base) :].rstrip("/")
    return path.rstrip("/")
