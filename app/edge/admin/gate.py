"""Nobody gets past here who may not: who asks, from which page, and whether it was asked before.

Rule 1: a browser says from which page a request comes, and only our own may ask. Browsers send
`Sec-Fetch-Site` to trustworthy addresses; over plain http to another machine they do not, and then
`Origin` must be the address that was asked. Programs send neither.
Rule 2: a session's cookie alone changes nothing: changes need its token in a header as well.
Rule 3: a caller's key is nothing here, and who sends the admin key is judged by that alone.
Rule 4: a POST with an `Idempotency-Key` is carried out once; sent again it gets the same answer.
"""

import hmac
from hashlib import sha256
from typing import Any, Final, cast
from urllib.parse import urlsplit

from litestar.datastructures import Cookie
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send
from msgspec import Struct

from app.admin.access import LIFE_S, Access, csrf_token
from app.admin.rows import AnswerRows
from app.domain.account import Secret
from app.domain.admin import Actor
from app.edge.admin.errors import HEADERS
from app.edge.origin import Network, origin, within
from app.edge.request import Head, Upload, read_head
from app.errors import CallerError, InvalidRequest, NotAllowed, Unauthenticated
from app.ports import Clock

OPEN: Final = "open_to_anybody"
"""The option of a handler that asks for no login: the login itself."""
UNREPEATED: Final = "unrepeated"
"""The option of a handler whose answer is never kept, as it is long or sets a cookie."""
SECURE_COOKIE: Final = "__Host-codex2api"
PLAIN_COOKIE: Final = "codex2api_session"
SAFE: Final = frozenset({"GET", "HEAD"})
BODY_BYTES_MAX: Final = 1 << 20
"""Of a request that is kept to be compared; only files are longer."""
BODY_TIMEOUT_S: Final = 30.0
ANSWER_BYTES_MAX: Final = 1 << 20
KEY_CHARS_MAX: Final = 255


class Where(Struct, frozen=True):
    """What is known of a request's way here."""

    address: str
    secure: bool
    """It came over https, to us or to a proxy that is trusted."""
    host: str
    user_agent: str

    def cookie(self, value: Secret | None) -> Cookie:
        """Return the session's cookie; without a value the one that takes it away."""
        return Cookie(
            key=SECURE_COOKIE if self.secure else PLAIN_COOKIE,
            value=value.reveal() if value else "",
            max_age=int(LIFE_S) if value else 0,
            secure=self.secure,
            httponly=True,
            samesite="strict",
            path="/",
        )


class Gate(ASGIMiddleware):
    """Stands before every handler of the admin API."""

    scopes = (ScopeType.HTTP,)

    def __init__(
        self,
        *,
        access: Access,
        answers: AnswerRows,
        clock: Clock,
        trusted_proxies: tuple[Network, ...] = (),
    ) -> None:
        self._access = access
        self._answers = answers
        self._clock = clock
        self._trusted = trusted_proxies

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Let a request through, or raise why not."""
        asked = cast("HTTPScope", scope)
        head = read_head(asked)
        send = _with_headers(send, head)
        if head.flaw is not None:
            raise head.flaw
        where = self.where(asked, head)
        options = scope["route_handler"].opt
        check_origin(head, where)
        state = scope["state"]
        state["where"] = where
        if options.get(OPEN):
            state["actor"] = Actor("nobody", where.address, head.request_id)
            await next_app(scope, receive, send)
            return
        state["actor"] = await self._actor(head, where)
        key = head.find(b"idempotency-key")
        if head.method != "POST" or key is None or options.get(UNREPEATED):
            await next_app(scope, receive, send)
            return
        await self._once(key, head, (scope, receive, send), next_app)

    def where(self, scope: HTTPScope, head: Head) -> Where:
        """Return where a request comes from, and how."""
        address = origin(scope, self._trusted)
        client = scope.get("client")
        peer = origin(scope, ())
        proxied = peer is not None and within(peer, self._trusted)
        proto = head.find(b"x-forwarded-proto") if proxied else None
        host = (head.find(b"x-forwarded-host") if proxied else None) or head.find(b"host") or ""
        return Where(
            address=str(address) if address else (client[0] if client else "unknown"),
            secure=(proto or scope["scheme"]).split(",")[-1].strip().lower() == "https",
            host=host.split(",")[-1].strip(),
            user_agent=head.find(b"user-agent") or "",
        )

    async def _actor(self, head: Head, where: Where) -> Actor:
        key = head.find(b"x-admin-key")
        if key is not None:
            await self._access.admit_key(Secret(key), address=where.address)
            return Actor("admin_key", where.address, head.request_id)
        cookie = read_cookie(head, where)
        session = await self._access.session(cookie) if cookie else None
        if cookie is None or session is None:
            raise Unauthenticated("Log in first.", code="not_logged_in")
        if head.method not in SAFE:
            given = (head.find(b"x-csrf-token") or "").encode("latin-1")
            if not hmac.compare_digest(given, csrf_token(cookie).encode()):
                raise NotAllowed(
                    "The header X-CSRF-Token is missing or is not this session's.",
                    code="csrf_failed",
                )
        return Actor(f"session:{session.id}", where.address, head.request_id, session)

    async def _once(
        self,
        key: str,
        head: Head,
        connection: tuple[Scope, Receive, Send],
        next_app: ASGIApp,
    ) -> None:
        """Carry a request out, unless it was before: then say its answer again."""
        scope, receive, send = connection
        if not 0 < len(key) <= KEY_CHARS_MAX:
            raise InvalidRequest(
                f"An Idempotency-Key has 1 to {KEY_CHARS_MAX} characters.", param="idempotency-key"
            )
        body = await Upload(head, receive).read(
            bytes_max=BODY_BYTES_MAX, timeout_s=BODY_TIMEOUT_S, hold=lambda _size: None
        )
        # Sessions come and go; whoever is let in here is the same administrator.
        name = sha256(key.encode("latin-1")).hexdigest()
        path = f"{scope['path']}?{cast('HTTPScope', scope)['query_string'].decode('latin-1')}"
        fingerprint = sha256(f"{head.method} {path}\n".encode() + body).hexdigest()
        known = await self._answers.begin(name, fingerprint, at=self._clock.now())
        if known is not None:
            if known.fingerprint != fingerprint:
                raise CallerError(
                    "This Idempotency-Key was sent with another request.",
                    status=422,
                    code="idempotency_mismatch",
                    param="idempotency-key",
                )
            if known.status is None:
                raise CallerError(
                    "The same request is still under way.",
                    status=409,
                    code="idempotency_in_progress",
                    retry_after_s=1.0,
                )
            await _say_again(send, known.status, known.body)
            return
        keeper = _Keeper(send)
        try:
            await next_app(scope, _given(body, receive), keeper.send)
        finally:
            # A success is kept; a refusal changed nothing and may be mended and sent again.
            if keeper.keepable:
                await self._answers.end(name, keeper.status, bytes(keeper.body))
            else:
                await self._answers.forget(name)


def check_origin(head: Head, where: Where) -> None:
    """Refuse what another site's page asks for.

    Raises:
        NotAllowed: It is one.
    """
    site = head.find(b"sec-fetch-site")
    if site is not None:
        allowed = site == "same-origin" or (site == "none" and head.method in SAFE)
    else:
        given = head.find(b"origin")
        allowed = given is None or _same(given, where)
    if not allowed:
        raise NotAllowed("Another site's page may not ask this.", code="wrong_origin")


def read_cookie(head: Head, where: Where) -> Secret | None:
    """Return what the session's cookie holds."""
    name = SECURE_COOKIE if where.secure else PLAIN_COOKIE
    for known, value in head.raw:
        if known != b"cookie":
            continue
        for part in value.decode("latin-1").split(";"):
            key, _, text = part.strip().partition("=")
            if key == name and text:
                return Secret(text)
    return None


def _same(given: str, where: Where) -> bool:
    try:
        parts = urlsplit(given)
        asked = urlsplit(f"//{where.host}")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        asked_port = asked.port or (443 if where.secure else 80)
    except ValueError:
        return False
    known = parts.scheme in ("http", "https") and parts.hostname is not None
    return known and (parts.hostname, port) == (asked.hostname, asked_port)


def _with_headers(send: Send, head: Head) -> Send:
    """Return what sends an answer with the headers that each one has."""
    named = (b"x-request-id", head.request_id.encode("latin-1"))

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            have = [*message["headers"]]
            known = {name for name, _ in have}
            message["headers"] = have + [one for one in (*HEADERS, named) if one[0] not in known]
        await send(message)

    return sent


class _Keeper:
    """Sends an answer on and keeps it, unless it is long or no success."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0
        self.body = bytearray()
        self._ended = False

    @property
    def keepable(self) -> bool:
        return self._ended and 200 <= self.status < 300 and len(self.body) <= ANSWER_BYTES_MAX

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif message["type"] == "http.response.body":
            if len(self.body) <= ANSWER_BYTES_MAX:
                self.body += message["body"]
            self._ended = not message["more_body"]
        await self._send(message)


def _given(body: bytes, receive: Receive) -> Receive:
    """Return what gives a body that was read already, then what comes after it."""
    message: Any = {"type": "http.request", "body": body, "more_body": False}
    messages = [message]

    async def given() -> Any:
        return messages.pop() if messages else await receive()

    return given


async def _say_again(send: Send, status: int, body: bytes) -> None:
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"idempotency-replayed", b"true"),
    ]
    start: Any = {"type": "http.response.start", "status": status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": body, "more_body": False})
