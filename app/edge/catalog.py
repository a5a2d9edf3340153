"""`GET /v1/models`, `/v1/models/{id}`, and the manifest that Codex clients ask for.

The lists have OpenAI's shape; a client that speaks Anthropic's API gets its own, with the names of
Claude models in it.
"""

from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import parse_qs

from litestar.enums import ScopeType
from litestar.handlers import ASGIRouteHandler, asgi
from litestar.types import HTTPScope, Receive, Scope, Send

from app.dialects import live_manifest
from app.dialects.catalog import list_body, model_body
from app.dialects.messages import models as messages_models
from app.dialects.messages.errors import error_body as messages_error_body
from app.dialects.responses.errors import error_body
from app.domain.call import Dialect
from app.domain.caller import Caller
from app.edge.absent import absent, refuse_websocket
from app.edge.company import Headers
from app.edge.guards import Guard
from app.edge.headers import JSON, error_headers
from app.edge.manners import manners_of
from app.edge.models import Models
from app.edge.request import Head, read_head
from app.edge.streaming import CLOSE
from app.errors import GatewayError, MethodNotAllowed, UnknownModel, UnknownRoute
from app.ports import Manifest

PUBLIC = ("/v1/models", "/models")
CODEX = ("/backend-api/codex/models", "/backend-api/codex/v1/models")

_CLAUDE_CODE: Final = "claude-cli"

Answer = tuple[int, Headers, bytes]
LiveManifest = Callable[[str], Awaitable[Manifest | None]]


class ModelsRoute:
    """Answers the questions about models; the same guard as for calls."""

    def __init__(
        self,
        *,
        models: Models,
        guard: Guard,
        live: LiveManifest,
        started_at: Callable[[], float],
    ) -> None:
        """Take what returns the live manifest for a client version, if there is one."""
        self._models = models
        self._guard = guard
        self._live = live
        self._created = int(started_at())

    async def serve(self, scope: HTTPScope, send: Send, *, wanted: str, codex: bool) -> None:
        """Answer one request; `wanted` is the model that it is about, empty for all of them."""
        head = read_head(scope)
        anthropic = not codex and _speaks_messages(head)
        request_id = head.request_id.encode("latin-1")
        ways = manners_of(Dialect.MESSAGES if anthropic else Dialect.RESPONSES)
        headers: Headers = [(name, request_id) for name in ways.request_id_headers]
        try:
            if head.flaw is not None:
                headers.append(CLOSE)
                raise head.flaw
            if head.method not in ("GET", "HEAD"):
                headers.append((b"allow", b"GET, HEAD"))
                raise MethodNotAllowed(f"{head.method} is not allowed here: use GET.")
            caller = self._guard.identify(head.key)
            self._guard.admit_from(caller, scope)
            query = scope["query_string"]
            if codex or b"client_version=" in query:
                status, more, body = await self._manifest(head, caller, _client_version(query))
            elif anthropic:
                status, more, body = self._messages_list(wanted, caller, query)
            else:
                status, more, body = self._list(wanted, caller)
        except GatewayError as error:
            said = messages_error_body(error) if anthropic else error_body(error)
            status, more, body = error.status, error_headers(error), said
        if status != 304:
            headers.append((b"content-length", b"%d" % len(body)))
        headers += more
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    async def _manifest(self, head: Head, caller: Caller, client_version: str) -> Answer:
        live = await self._live(client_version)
        if live is None:
            body, etag = self._models.catalog.manifest(caller.models)
        elif caller.models:
            body, etag = live_manifest.restricted(live.body, caller.models)
        else:
            body, etag = live.body, live.etag
        headers: Headers = [(b"etag", etag.encode())]
        if _matches(head.find(b"if-none-match"), etag):
            return 304, headers, b""
        return 200, [JSON, *headers], body

    def _list(self, wanted: str, caller: Caller) -> Answer:
        names = [name for name in self._models.catalog.names() if caller.may_use(name)]
        if not wanted:
            return 200, [JSON], list_body(names, created=self._created)
        if wanted not in names:
            raise UnknownModel(f"The model '{wanted[:64]}' does not exist here.", param="model")
        return 200, [JSON], model_body(wanted, created=self._created)

    def _messages_list(self, wanted: str, caller: Caller, query: bytes) -> Answer:
        catalog = self._models.catalog
        names = [name for name in catalog.names() if caller.may_use(name)]
        claude = [
            name
            for name in catalog.claude_names()
            if name not in names
            and (caller.may_use(name) or caller.may_use(catalog.resolve_claude(name).model))
        ]
        names = claude + names
        if not wanted:
            page = messages_models.page_of(parse_qs(query.decode("latin-1")))
            return 200, [JSON], messages_models.list_body(names, page)
        if wanted not in names:
            raise UnknownModel(f"The model '{wanted[:64]}' does not exist here.", param="model")
        return 200, [JSON], messages_models.model_body(wanted)


def _speaks_messages(head: Head) -> bool:
    """Tell whether the caller's client is one of Anthropic's."""
    if head.find(b"anthropic-version") is not None:
        return True
    return (head.find(b"user-agent") or "").startswith(_CLAUDE_CODE)


def _client_version(query: bytes) -> str:
    return parse_qs(query.decode("latin-1")).get("client_version", [""])[0]


def _matches(if_none_match: str | None, etag: str) -> bool:
    """Tell whether the caller has this already; compared weakly, as RFC 9110 13.1.2 says."""
    if if_none_match is None:
        return False
    known = {one.strip().removeprefix("W/") for one in if_none_match.split(",")}
    return if_none_match == etag or "*" in known or etag.removeprefix("W/") in known


def routes(route: ModelsRoute) -> list[ASGIRouteHandler]:
    """Return the handlers of the model routes."""

    # Litestar can't route to raw handlers by path parameters, so these are mounts, which match
    # whatever begins like them.
    @asgi(list(PUBLIC), is_mount=True, copy_scope=True)
    async def models(scope: Scope, receive: Receive, send: Send) -> None:
        rest = scope["path"].rstrip("/")
        if rest and not rest.startswith("/"):
            path = scope["raw_path"].decode("latin-1")
            raise absent(scope["method"] if scope["type"] == ScopeType.HTTP else "GET", path)
        await _serve(scope, receive, send, wanted=rest[1:], codex=False)

    @asgi(list(CODEX), copy_scope=False)
    async def manifest(scope: Scope, receive: Receive, send: Send) -> None:
        await _serve(scope, receive, send, wanted="", codex=True)

    async def _serve(
        scope: Scope, receive: Receive, send: Send, *, wanted: str, codex: bool
    ) -> None:
        if scope["type"] == ScopeType.WEBSOCKET:
            error = UnknownRoute("No WebSocket is served here: send a GET request instead.")
            await refuse_websocket(scope, receive, send, error)
        else:
            await route.serve(scope, send, wanted=wanted, codex=codex)

    return [models, manifest]
