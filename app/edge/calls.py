"""The data-plane routes: raw ASGI handlers, one speaker each."""

from litestar.enums import ScopeType
from litestar.handlers import ASGIRouteHandler, asgi
from litestar.types import Receive, Scope, Send

from app.edge.absent import no_websocket, refuse_websocket
from app.edge.dataplane import DataPlane
from app.edge.plans import Speaker
from app.edge.sockets.handshake import SocketRoute


def route(
    paths: list[str], speaker: Speaker, plane: DataPlane, sockets: SocketRoute | None = None
) -> ASGIRouteHandler:
    """Return a handler that answers `paths` in the speaker's dialect, and their WebSockets."""

    @asgi(paths, copy_scope=False)
    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.WEBSOCKET:
            await plane.serve(speaker, scope, receive, send)
        elif sockets is not None:
            await sockets.serve(scope, receive, send)
        else:
            await refuse_websocket(scope, receive, send, no_websocket())

    return call
