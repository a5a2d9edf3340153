"""An application of some routes, asked in process: no socket, no server."""

from collections.abc import Sequence
from typing import Any

from litestar import Litestar
from litestar.types import ControllerRouterHandler

from app.edge.errors import render
from tests.edge.asgi import Server, scope


def application(handlers: Sequence[ControllerRouterHandler]) -> Litestar:
    """Return an application of these handlers, with the gateway's own way to say errors."""
    return Litestar(
        route_handlers=handlers,
        exception_handlers={Exception: render},
        openapi_config=None,
        logging_config=None,
    )


async def ask(
    handlers: Sequence[ControllerRouterHandler],
    path: str,
    *headers: tuple[str, str],
    method: str = "GET",
    query: bytes = b"",
) -> Server:
    """Return what came back for a request without a body."""
    server = Server(b"")
    asked = complete(scope(*headers, method=method, path=path, query=query))
    await application(handlers)(asked, server.receive, server.send)
    return server


async def handshake(
    handlers: Sequence[ControllerRouterHandler], path: str, *headers: tuple[str, str]
) -> list[Any]:
    """Return what came back for the opening handshake of a WebSocket."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    asked = complete(scope(*headers, method="GET", path=path))
    del asked["method"]
    asked |= {"type": "websocket", "scheme": "ws", "subprotocols": []}
    asked["extensions"] = {"websocket.http.response": {}}
    await application(handlers)(asked, receive, send)
    return sent


def complete(asked: Any) -> Any:
    """Return the scope with what a server says beside the request itself."""
    return asked | {
        "scheme": "http",
        "server": ("gateway", 80),
        "client": ("caller", 1),
        "root_path": "",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "extensions": {},
        "state": {},
    }
