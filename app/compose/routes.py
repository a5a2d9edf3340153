"""Puts the application in front of an open gateway: which route is answered by what."""

from pathlib import Path
from typing import Final

from litestar import Litestar

from app.compose.gateway import Gateway
from app.compose.sockets import SocketRoutes
from app.domain.account import Secret
from app.domain.runtime import OnDisconnect
from app.edge import absent, calls, catalog, operations, spa
from app.edge.chat import ChatSpeaker
from app.edge.compact import CompactSpeaker
from app.edge.company import Pace
from app.edge.dataplane import Bounds, DataPlane
from app.edge.errors import render
from app.edge.messages import MessagesSpeaker
from app.edge.responses import ResponsesSpeaker

ADMIN_UI: Final = Path(__file__).resolve().parents[2] / "admin-ui" / "dist"
_PATIENCE_S: Final = {OnDisconnect.CANCEL: 0.0, OnDisconnect.FINISH: 30.0}
"""How long a stream goes on whose caller has left."""


def build(opened: Gateway) -> Litestar:
    """Return the application that serves an open gateway."""
    settings, limits = opened.settings, opened.settings.limits
    pace = Pace(limits.commit_after_s, limits.keepalive_s, limits.send_timeout_s)
    plane = DataPlane(
        guard=opened.guard,
        till=opened.books.till,
        relay=opened.relay,
        in_flight=opened.in_flight,
        clock=opened.clock,
        observer=opened.metrics,
        bounds=Bounds(
            settings.body_bytes_max,
            limits.body_read_timeout_s,
            pace,
            patience_s=lambda: _PATIENCE_S[opened.runtime.on_disconnect],
        ),
    )
    sockets = SocketRoutes(opened, plane, pace)
    models, history = opened.models, opened.history
    responses = ResponsesSpeaker(models=models, codex_route=False, history=history)
    codex = ResponsesSpeaker(models=models, codex_route=True, history=history)
    chat = ChatSpeaker(models=opened.models, now=opened.clock.now)
    catalogue = catalog.ModelsRoute(
        models=opened.models,
        guard=opened.guard,
        live=opened.manifests.manifest,
        started_at=opened.clock.now,
    )
    return Litestar(
        route_handlers=[
            calls.route(
                ["/v1/responses", "/responses"],
                responses,
                plane,
                sockets.route(codex_route=False),
            ),
            calls.route(
                ["/backend-api/codex/responses", "/backend-api/codex/v1/responses"],
                codex,
                plane,
                sockets.route(codex_route=True),
            ),
            calls.route(
                ["/v1/responses/compact", "/responses/compact"], CompactSpeaker(responses), plane
            ),
            calls.route(
                [
                    "/backend-api/codex/responses/compact",
                    "/backend-api/codex/v1/responses/compact",
                ],
                CompactSpeaker(codex),
                plane,
            ),
            calls.route(["/v1/chat/completions", "/chat/completions"], chat, plane),
            calls.route(["/v1/messages", "/messages"], MessagesSpeaker(models=models), plane),
            *catalog.routes(catalogue),
            *operations.routes(
                in_flight=opened.in_flight,
                metrics=opened.exposition.text,
                loaded=lambda: opened.revision >= 0 and opened.sharing.settled,
                late=lambda: opened.heartbeat.lag_s > limits.loop_lag_ready_s,
                metrics_token=Secret(settings.metrics_token) if settings.metrics_token else None,
            ),
            *spa.routes(build=ADMIN_UI),
            *absent.routes(),
        ],
        exception_handlers={Exception: render},
        openapi_config=None,
        logging_config=None,
    )
