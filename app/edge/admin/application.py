"""The admin API: an application of its own, its OpenAPI document, its place in the gateway."""

import json
from collections.abc import Callable
from typing import Any, Final

from litestar import Controller, Litestar, Request, Response, Router, get
from litestar.di import Provide
from litestar.enums import ScopeType
from litestar.handlers import ASGIRouteHandler, HTTPRouteHandler, asgi
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import ASGIApp, Method, Receive, Scope, Send
from litestar.types.internal_types import PathParameterDefinition
from msgspec import Struct, structs

from app import __version__
from app.admin.access import Access
from app.admin.audit import Auditor
from app.admin.desk import AccountDesk
from app.admin.explaining import Explainer
from app.admin.keys import KeyDesk
from app.admin.live import LiveFeed
from app.admin.overview import Overview
from app.admin.roster import Roster
from app.admin.rows import AccountRows, ReportRows, RequestRows, SettingsRows
from app.admin.running import Drain, ModelNames, TakeOver
from app.domain.account import Secret
from app.domain.admin import Actor
from app.edge.absent import refuse_websocket
from app.edge.admin.accounts import AccountsController
from app.edge.admin.errors import render
from app.edge.admin.events import EventsController
from app.edge.admin.gate import BODY_BYTES_MAX, Gate, Where, read_cookie
from app.edge.admin.keys import KeysController
from app.edge.admin.logins import LoginsController
from app.edge.admin.operations import OperationsController
from app.edge.admin.session import SessionController
from app.edge.admin.settings import SettingsController
from app.edge.admin.usage import UsageController
from app.edge.request import read_head
from app.errors import UnknownRoute
from app.ports import Clock

PATH: Final = "/api/admin"
CONTROLLERS: Final[tuple[type[Controller], ...]] = (
    SessionController,
    AccountsController,
    LoginsController,
    KeysController,
    SettingsController,
    UsageController,
    OperationsController,
    EventsController,
)
_DESCRIPTION: Final = (
    "Log in with POST /api/admin/login and send its csrf_token as X-CSRF-Token with every change, "
    "or send X-Admin-Key with every request. Times are epoch seconds. Errors have the shape "
    "ErrorBody. A POST with an Idempotency-Key is carried out once."
)

_REFUSALS: Final = {
    "400": "A field has a wrong form.",
    "401": "Nobody is logged in, or the password is wrong.",
    "403": "Another site's page asks, or the CSRF token is missing.",
    "404": "It is not there.",
    "405": "The path is there, but not with this method.",
    "409": "It was changed meanwhile, or can't be done now.",
    "413": "The body is too long.",
    "422": "The Idempotency-Key was sent with another request.",
    "429": "Too many tries: Retry-After says when the next may be.",
    "501": "The upstream can't do this.",
    "502": "The upstream failed.",
    "503": "The database is away, or the worker is overloaded.",
}

AnyRequest = Request[Any, Any, Any]


class Parts(Struct, frozen=True):
    """What the handlers are given, by the names of their arguments."""

    access: Access
    audit: Auditor
    roster: Roster
    desk: AccountDesk
    account_rows: AccountRows
    keys: KeyDesk
    settings: SettingsRows
    reports: ReportRows
    requests: RequestRows
    overview: Overview
    explainer: Explainer
    live: LiveFeed
    drain: Drain
    model_names: ModelNames
    take_over: TakeOver
    clock: Clock


def actor(request: AnyRequest) -> Actor:
    """Return who asks."""
    found: Actor = request.scope["state"]["actor"]
    return found


def where(request: AnyRequest) -> Where:
    """Return where a request comes from."""
    found: Where = request.scope["state"]["where"]
    return found


def cookie(request: AnyRequest) -> Secret | None:
    """Return what the session's cookie holds."""
    return read_cookie(read_head(request.scope), where(request))


def application(parts: Parts, gate: Gate) -> Litestar:
    """Return the admin API."""
    of_requests = {"actor": actor, "where": where, "cookie": cookie}
    dependencies = {
        name: Provide(_giving(getattr(parts, name)), sync_to_thread=False)
        for name in structs.asdict(parts)
    } | {name: Provide(each, sync_to_thread=False) for name, each in of_requests.items()}

    @get("/openapi.json", include_in_schema=False, sync_to_thread=False)
    def openapi(request: AnyRequest) -> Response[bytes]:
        """Return the OpenAPI document."""
        return Response(document(request.app), media_type="application/json")

    return Litestar(
        route_handlers=[
            Router(PATH, route_handlers=[*CONTROLLERS, openapi]),
        ],
        dependencies=dependencies,
        middleware=[gate],
        exception_handlers={Exception: render},
        request_max_body_size=BODY_BYTES_MAX,
        openapi_config=OpenAPIConfig(
            title="codex2api admin API",
            version=__version__,
            description=_DESCRIPTION,
            components=Components(
                security_schemes={
                    "session": SecurityScheme(
                        type="apiKey", name="codex2api_session", security_scheme_in="cookie"
                    ),
                    "adminKey": SecurityScheme(
                        type="apiKey", name="X-Admin-Key", security_scheme_in="header"
                    ),
                }
            ),
            security=[{"session": []}, {"adminKey": []}],
            path=f"{PATH}/unserved",
            render_plugins=[],
            use_handler_docstrings=True,
            operation_id_creator=_operation_id,
        ),
        logging_config=None,
    )


def document(app: Litestar) -> bytes:
    """Return the OpenAPI document of the admin API, always in the same order."""
    schema = app.openapi_schema.to_schema()
    body = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorBody"}}}
    refusals = {status: {"description": why, "content": body} for status, why in _REFUSALS.items()}
    for path in schema["paths"].values():
        for operation in path.values():
            operation["responses"] = {**operation["responses"], **refusals}
    return json.dumps(schema, indent=2, sort_keys=True).encode() + b"\n"


def mount(app: ASGIApp) -> ASGIRouteHandler:
    """Return the handler that hands everything below `PATH` to the admin API."""

    @asgi(PATH, is_mount=True, copy_scope=True)
    async def admin(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.WEBSOCKET:
            error = UnknownRoute("No WebSocket is served here.")
            await refuse_websocket(scope, receive, send, error)
            return
        rest = scope["path"].rstrip("/")
        path = f"{PATH}{rest}" if rest.startswith("/") or not rest else f"{PATH}/{rest}"
        inner: Any = {name: value for name, value in scope.items() if name in _OF_SERVER}
        inner |= {"path": path, "root_path": "", "state": {}}
        await app(inner, receive, send)

    return admin


_OF_SERVER: Final = frozenset(
    {"type", "asgi", "http_version", "method", "scheme", "raw_path", "query_string", "headers",
     "client", "server", "extensions"}
)  # fmt: skip


def _operation_id(
    handler: HTTPRouteHandler,
    http_method: Method,
    path_components: list[str | PathParameterDefinition],
) -> str:
    """Return what an operation is called: its noun and what is done to it."""
    del http_method, path_components
    noun = next(iter(handler.resolve_tags()), "admin")
    return f"{noun}_{handler.handler_name}"


def _giving(value: Any) -> Callable[[], Any]:
    """Return what returns `value`."""

    def given() -> Any:
        return value

    return given
