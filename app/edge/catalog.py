"""`GET /v1/models`, `/v1/models/{id}`, and the manifest that Codex clients ask for."""

from collections.abc import Callable
from typing import cast

from litestar.handlers import ASGIRouteHandler, asgi
from litestar.types import HTTPScope, Receive, Scope, Send

from app.dialects.catalog import list_body, model_body
from app.dialects.responses.errors import error_body
from app.domain.caller import Caller
from app.edge.dataplane import JSON, error_headers
from app.edge.guards import Guard
from app.edge.models import Models
from app.edge.request import Head, read_head
from app.edge.streaming import Headers
from app.errors import GatewayError, MethodNotAllowed, UnknownModel

PUBLIC = ("/v1/models", "/models")
CODEX = ("/backend-api/codex/models", "/backend-api/codex/v1/models")

Answer = tuple[int, Headers, bytes]


class ModelsRoute:
    """Answers the questions about models; the same guard as for calls."""

    def __init__(self, *, models: Models, guard: Guard, started_at: Callable[[], float]) -> None:
        self._models = models
        self._guard = guard
        self._created = int(started_at())

    async def serve(self, scope: HTTPScope, send: Send, *, codex: bool) -> None:
        """Answer one request."""
        headers: Headers = []
        try:
            head = read_head(scope)
            headers.append((b"x-request-id", head.request_id.encode("latin-1")))
            if head.method not in ("GET", "HEAD"):
                raise MethodNotAllowed(f"{head.method} is not allowed here: use GET.")
            caller = self._guard.identify(head.key)
            status, more, body = self._answer(scope, head, caller, codex=codex)
        except GatewayError as error:
            status, more, body = error.status, error_headers(error), error_body(error)
        headers += [*more, (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    def _answer(self, scope: HTTPScope, head: Head, caller: Caller, *, codex: bool) -> Answer:
        catalog = self._models.catalog
        if codex or b"client_version=" in scope["query_string"]:
            body, etag = catalog.manifest(caller.models)
            headers: Headers = [(b"etag", etag.encode())]
            if head.find(b"if-none-match") == etag:
                return 304, headers, b""
            return 200, [JSON, *headers], body
        names = [name for name in catalog.names() if caller.may_use(name)]
        wanted = scope["path"].partition("/models")[2].strip("/")
        if not wanted:
            return 200, [JSON], list_body(names, created=self._created)
        if wanted not in names:
            raise UnknownModel(f"The model '{wanted[:64]}' does not exist here.", param="model")
        return 200, [JSON], model_body(wanted, created=self._created)


def routes(route: ModelsRoute) -> list[ASGIRouteHandler]:
    """Return the handlers of the model routes."""

    @asgi([path + tail for path in PUBLIC for tail in ("", "/{model_id:path}")])
    async def models(scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        await route.serve(cast("HTTPScope", scope), send, codex=False)

    @asgi(list(CODEX))
    async def manifest(scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        await route.serve(cast("HTTPScope", scope), send, codex=True)

    return [models, manifest]
