"""Puts the application in front of an open gateway: which route is answered by what."""

from pathlib import Path
from typing import Final

from litestar import Litestar
from litestar.handlers import ASGIRouteHandler
from litestar.types import ControllerRouterHandler

from app.compose.gateway import Gateway
from app.compose.sockets import SocketRoutes
from app.domain.account import Secret
from app.domain.runtime import OnDisconnect
from app.edge import calls, catalog, operations, spa
from app.edge.admin.application import application, mount
from app.edge.chat import ChatSpeaker
from app.edge.compact import CompactSpeaker
from app.edge.company import Pace
from app.edge.completions import CompletionsSpeaker
from app.edge.counting import Counting, CountTokensSpeaker
from app.edge.dataplane import Bounds, DataPlane
from app.edge.embeddings import EmbeddingsSpeaker
from app.edge.errors import render
from app.edge.images import ImagesSpeaker
from app.edge.input_tokens import InputTokensSpeaker
from app.edge.messages import MessagesSpeaker
from app.edge.responses import ResponsesSpeaker

ADMIN_UI: Final = Path(__file__).resolve().parents[2] / "admin-ui" / "dist"
CODEX: Final = "/backend-api/codex"
_PATIENCE_S: Final = {OnDisconnect.CANCEL: 0.0, OnDisconnect.FINISH: 30.0}
"""How long a stream goes on whose caller has left."""


def build(opened: Gateway) -> Litestar:
    """Return the application that serves an open gateway."""
    settings = opened.settings
    catalogue = catalog.ModelsRoute(
        models=opened.models,
        guard=opened.guard,
        live=opened.manifests.manifest,
        started_at=opened.clock.now,
    )
    return Litestar(
        route_handlers=[
            *_data_plane(opened),
            *catalog.routes(catalogue),
            *operations.routes(
                in_flight=opened.in_flight,
                metrics=opened.exposition.text,
                loaded=lambda: opened.revision >= 0 and opened.sharing.settled,
                metrics_token=Secret(settings.metrics_token) if settings.metrics_token else None,
            ),
            *([] if settings.admin_bind else _admin(opened)),
        ],
        exception_handlers={Exception: render},
        openapi_config=None,
        logging_config=None,
    )


def build_admin(opened: Gateway) -> Litestar:
    """Return the application that serves the admin side alone, at an address of its own."""
    return Litestar(
        route_handlers=_admin(opened),
        exception_handlers={Exception: render},
        openapi_config=None,
        logging_config=None,
    )


def _admin(opened: Gateway) -> list[ControllerRouterHandler]:
    api = mount(application(opened.admin_parts, opened.admin_gate))
    return [api, *spa.routes(build=ADMIN_UI)]


def _data_plane(opened: Gateway) -> list[ASGIRouteHandler]:
    """Return the routes that make calls."""
    settings, limits = opened.settings, opened.settings.limits
    pace = Pace(limits.commit_after_s, limits.keepalive_s, limits.send_timeout_s)
    plane = DataPlane(
        guard=opened.guard,
        till=opened.books.till,
        relay=opened.relay,
        in_flight=opened.in_flight,
        clock=opened.clock,
        observer=opened.watcher,
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
    completions = CompletionsSpeaker(models=models, now=opened.clock.now)
    embeddings = EmbeddingsSpeaker(models=models)
    messages = MessagesSpeaker(models=models)
    counting = Counting(tokens=opened.tokenizer)
    input_tokens = InputTokensSpeaker(responses, models=models, counting=counting)
    count_tokens = CountTokensSpeaker(models=models, counting=counting)
    public, private = sockets.route(codex_route=False), sockets.route(codex_route=True)
    ways = ["", "/v1"]
    return [
        calls.route([f"{way}/responses" for way in ways], responses, plane, public),
        calls.route([f"{CODEX}{way}/responses" for way in ways], codex, plane, private),
        calls.route([f"{way}/responses/compact" for way in ways], CompactSpeaker(responses), plane),
        calls.route(
            [f"{CODEX}{way}/responses/compact" for way in ways], CompactSpeaker(codex), plane
        ),
        calls.route([f"{way}/responses/input_tokens" for way in ways], input_tokens, plane),
        calls.route([f"{way}/chat/completions" for way in ways], chat, plane),
        calls.route([f"{way}/completions" for way in ways], completions, plane),
        calls.route([f"{way}/embeddings" for way in ways], embeddings, plane),
        calls.route([f"{way}/messages" for way in ways], messages, plane),
        calls.route([f"{way}/messages/count_tokens" for way in ways], count_tokens, plane),
        *(
            calls.route(
                [f"{way}/images/{name}" for way in (*ways, CODEX)],
                ImagesSpeaker(models=models, now=opened.clock.now, edits=name == "edits"),
                plane,
            )
            for name in ("generations", "edits")
        ),
        *sockets.realtime(),
    ]
