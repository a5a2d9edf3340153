"""What operators and their machines ask: alive, ready, metrics, name and version."""

from collections.abc import Callable
from hmac import compare_digest
from typing import Any

from litestar import MediaType, Request, Response, get, route
from litestar.handlers import HTTPRouteHandler

from app import __version__
from app.domain.account import Secret
from app.edge.inflight import InFlight


def routes(
    *,
    in_flight: InFlight,
    metrics: Callable[[], bytes],
    loaded: Callable[[], bool],
    metrics_token: Secret | None,
) -> list[HTTPRouteHandler]:
    """Return the operations routes."""

    @get("/health", media_type=MediaType.JSON, sync_to_thread=False)
    def health() -> dict[str, str]:
        """Tell that the event loop runs; never asks anyone else."""
        return {"status": "ok"}

    @get("/ready", media_type=MediaType.JSON, sync_to_thread=False)
    def ready() -> Response[dict[str, str]]:
        """Tell whether new calls are welcome: 503 from the first moment of a drain."""
        if in_flight.draining:
            return Response({"status": "draining"}, status_code=503)
        if not loaded():
            return Response({"status": "starting"}, status_code=503)
        return Response({"status": "ready"})

    @get("/metrics", sync_to_thread=False)
    def exposition(request: Request[Any, Any, Any]) -> Response[bytes]:
        """Return this worker's metrics in Prometheus' text format."""
        if metrics_token is not None:
            given = request.headers.get("authorization", "")
            expected = f"Bearer {metrics_token.reveal()}"
            if not compare_digest(given.encode(), expected.encode()):
                return Response(b"unauthorized\n", status_code=401, media_type=MediaType.TEXT)
        return Response(metrics(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @route("/", http_method=["GET", "HEAD"], media_type=MediaType.JSON, sync_to_thread=False)
    def root() -> dict[str, str]:
        """Say who is here."""
        return {"name": "codex2api", "version": __version__}

    @route("/api/hello", http_method=["GET", "HEAD"], sync_to_thread=False)
    def hello() -> dict[str, str]:
        """Answer the start-up probe of Anthropic's clients."""
        return {"message": "hello"}

    return [health, ready, exposition, root, hello]
