"""The data-plane routes: raw ASGI handlers, one speaker each."""

from collections.abc import Mapping
from typing import Final

from litestar import Litestar
from litestar.enums import ScopeType
from litestar.handlers import ASGIRouteHandler, asgi
from litestar.routes import ASGIRoute
from litestar.types import ASGIApp, Receive, Scope, Send

from app.edge.absent import no_websocket, refuse_websocket
from app.edge.dataplane import DataPlane
from app.edge.plans import Speaker
from app.edge.sockets.handshake import SocketRoute

_STRAIGHT: Final = "straight"


def straight(app: Litestar) -> Mapping[str, ASGIApp]:
    """Return what answers HTTP requests at the paths of the data plane, as they are registered.

    A call ends with exactly one answer whatever happens in it, so it needs nothing of the layers
    that the framework puts around a route. Each of them would be passed again by every event.
    """
    return {
        route.path: route.route_handler.fn
        for route in app.routes
        if isinstance(route, ASGIRoute) and _STRAIGHT in route.route_handler.opt
    }


def route(
    paths: list[str], speaker: Speaker, plane: DataPlane, sockets: SocketRoute | None = None
) -> ASGIRouteHandler:
    """Return a handler that answers `paths` in the speaker's dialect, and their WebSockets."""

    @asgi(paths, copy_scope=False, opt={_STRAIGHT: True})
    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.WEBSOCKET:
            await plane.serve(speaker, scope, receive, send)
        elif sockets is not None:
            await sockets.serve(scope, receive, send)
        else:
            await refuse_websocket(scope, receive, send, no_websocket())

    return call
