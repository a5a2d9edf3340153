"""The data-plane routes: raw ASGI handlers, one speaker each."""

from litestar.enums import ScopeType
from litestar.handlers import ASGIRouteHandler, asgi
from litestar.types import Receive, Scope, Send

from app.edge.absent import no_websocket, refuse_websocket
from app.edge.dataplane import DataPlane
from app.edge.plans import Speaker


def route(paths: list[str], speaker: Speaker, plane: DataPlane) -> ASGIRouteHandler:
    """Return a handler that answers `paths` in the speaker's dialect."""

    @asgi(paths, copy_scope=False)
    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.WEBSOCKET:
            await refuse_websocket(scope, receive, send, no_websocket())
        else:
            await plane.serve(speaker, scope, receive, send)

    return call
