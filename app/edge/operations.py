"""What operators and their machines ask: alive, ready, metrics, name and version."""

from collections.abc import Awaitable, Callable, Mapping
from hmac import compare_digest
from typing import Any, Final

from litestar import HttpMethod, MediaType, Request, Response, route
from litestar.handlers import HTTPRouteHandler

from app import __version__
from app.domain.account import Secret
from app.edge.inflight import InFlight
from app.edge.request import request_id

METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
READ: Final = (HttpMethod.GET, HttpMethod.HEAD)

AnyRequest = Request[Any, Any, Any]
Status = Response[Mapping[str, str]]


def routes(
    *,
    in_flight: InFlight,
    metrics: Callable[[], Awaitable[bytes]],
    loaded: Callable[[], bool],
    metrics_token: Secret | None,
) -> list[HTTPRouteHandler]:
    """Return the operations routes."""

    @route("/health", http_method=READ, sync_to_thread=False)
    def health(request: AnyRequest) -> Status:
        """Tell that the event loop runs; never asks anyone else."""
        return _say(request, {"status": "ok"})

    @route("/ready", http_method=READ, sync_to_thread=False)
    def ready(request: AnyRequest) -> Status:
        """Tell whether new calls are welcome: 503 from the first moment of a drain."""
        if in_flight.draining:
            return _say(request, {"status": "draining"}, status=503, connection="close")
        status = "starting" if not loaded() else in_flight.strain.word or "ready"
        return _say(request, {"status": status}, status=200 if status == "ready" else 503)

    @route("/metrics", http_method=READ)
    async def exposition(request: AnyRequest) -> Response[bytes]:
        """Return the metrics of all workers in Prometheus' text format."""
        named = {"x-request-id": request_id(request.scope["headers"])}
        if metrics_token is not None:
            given = request.headers.get("authorization", "")
            expected = f"Bearer {metrics_token.reveal()}"
            if not compare_digest(given.encode(), expected.encode()):
                named["www-authenticate"] = "Bearer"
                return Response(
                    b"unauthorized\n", status_code=401, media_type=MediaType.TEXT, headers=named
                )
        # As a header: to a media type Litestar would add another charset.
        return Response(await metrics(), headers={**named, "content-type": METRICS_TYPE})

    @route("/", http_method=READ, sync_to_thread=False)
    def root(request: AnyRequest) -> Status:
        """Say who is here."""
        return _say(request, {"name": "codex2api", "version": __version__})

    @route("/api/hello", http_method=READ, sync_to_thread=False)
    def hello(request: AnyRequest) -> Status:
        """Answer the start-up probe of Anthropic's clients."""
        return _say(request, {"message": "hello"})

    return [health, ready, exposition, root, hello]


def _say(
    request: AnyRequest, content: Mapping[str, str], *, status: int = 200, **headers: str
) -> Status:
    return Response(
        content,
        status_code=status,
        media_type=MediaType.JSON,
        headers={"x-request-id": request_id(request.scope["headers"]), **headers},
    )
