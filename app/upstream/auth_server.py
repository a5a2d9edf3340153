"""The authorization server over HTTP: renewals, code exchanges and device logins.

A refresh token can be spent once, so what matters here is to know whether it was: a failure
before the first byte left is `RenewalUnsent`, an answer is `RenewalRefused`, anything else
is `RenewalUnknown`, and nothing is ever sent twice. Each call has a connection and a client
of its own: no reply can be taken for another account's, and no cookie passes between them.

A proxy that is set is used or the call fails; there is no direct connection instead. The
environment is not read, redirects are not followed. Who renews when is not decided here.
"""

import asyncio
import math
import ssl
from collections.abc import Mapping
from urllib.parse import urlencode

import httpx
from msgspec import Struct

from app.domain.account import Secret
from app.domain.login import AuthorizationGrant, DeviceLogin
from app.ports import Clock, RenewalRefused, RenewalUnknown, RenewalUnsent, Tokens
from app.upstream.auth_refusals import decoded, refusal
from app.wire.quota import retry_after_s

CODEX_CLIENT_ID = "app_EMoamEEZ73f0CkXaXp7hrann"
"""The public client of the Codex programs; it has no secret."""

LOGIN_REDIRECT_URI = "http://localhost:1455/auth/callback"
"""Fixed by the client's registration, so a person pastes the address his browser ends at."""

LOGIN_SCOPE = "openid profile email offline_access"
RENEWAL_SCOPE = "openid profile email"

CALL_TIMEOUT_S = 30.0
_CONNECT_TIMEOUT_S = 8.0
_BODY_BYTES_MAX = 1 << 20
_LIFETIME_S_MAX = 10 * 365 * 86400
_POLL_INTERVAL_S = 5.0
_POLL_INTERVAL_S_MAX = 60.0

_UNSENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    # Both kinds of tunnel (CONNECT, SOCKS) fail before the request itself is written.
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)


class Route(Struct, frozen=True):
    """How to get to the issuer."""

    tls: ssl.SSLContext
    """Whom to trust; see `trust_store`."""
    proxy_url: Secret | None = None
    """Serves where a call brings no proxy of its own."""
    timeout_s: float = CALL_TIMEOUT_S
    """Bounds each call, from connecting to the last byte of its answer."""


class _Answer(Struct, frozen=True):
    """What one POST brought."""

    status: int
    body: bytes
    retry_after_s: float | None
    """How long the server wants to be left alone."""


class OAuthServer:
    """Speaks with one issuer as one client. Holds no connection and needs no closing."""

    def __init__(
        self, *, issuer: str, user_agent: str, originator: str, route: Route, clock: Clock
    ) -> None:
        """Take the issuer's base URL and the names that the gateway goes by."""
        self._issuer = issuer.rstrip("/")
        self._user_agent = user_agent
        self._originator = originator
        self._route = route
        self._clock = clock

    def authorize_url(self, *, challenge: str, state: str) -> str:
        """Return the address at which a person logs in; `challenge` is PKCE S256."""
        query = {
            "response_type": "code",
            "client_id": CODEX_CLIENT_ID,
            "redirect_uri": LOGIN_REDIRECT_URI,
            "scope": LOGIN_SCOPE,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "id_token_add_organizations": "true",
            "codex_cli_simplified_flow": "true",
            "state": state,
            "originator": self._originator,
        }
        return f"{self._issuer}/oauth/authorize?{urlencode(query)}"

    async def renew(self, refresh_token: Secret, *, proxy_url: Secret | None) -> Tokens:
        """Spend `refresh_token` and return what it bought. Never retried in here.

        Cancelling it may lose what the token bought: shield it.

        Raises:
            RenewalRefused: The server said no, for good or for now.
            RenewalUnknown: Sent, but no answer that can be read.
            RenewalUnsent: Not sent.
        """
        form = {
            "client_id": CODEX_CLIENT_ID,
            "grant_type": "refresh_token",
            "refresh_token": refresh_token.reveal(),
            "scope": RENEWAL_SCOPE,
        }
        return await self._tokens(form, secret=refresh_token, proxy_url=proxy_url)

    async def exchange_code(self, grant: AuthorizationGrant, *, proxy_url: Secret | None) -> Tokens:
        """Return what a login's one-time code buys.

        Raises:
            RenewalRefused: The server said no.
            RenewalUnknown: Sent, but no answer that can be read.
            RenewalUnsent: Not sent; the code is as good as before.
        """
        device_uri = f"{self._issuer}/deviceauth/callback"
        form = {
            "grant_type": "authorization_code",
            "code": grant.code.reveal(),
            "redirect_uri": device_uri if grant.device else LOGIN_REDIRECT_URI,
            "client_id": CODEX_CLIENT_ID,
            "code_verifier": grant.verifier.reveal(),
        }
        return await self._tokens(form, secret=grant.code, proxy_url=proxy_url)

    async def start_device(self, *, proxy_url: Secret | None) -> DeviceLogin:
        """Open a device-code login.

        Raises:
            RenewalRefused: The server said no; `device_login_disabled` if it has no such login.
            RenewalUnknown: Sent, but no answer that can be read.
            RenewalUnsent: Not sent.
        """
        answer = await self._post(
            "/api/accounts/deviceauth/usercode",
            proxy_url=proxy_url,
            json={"client_id": CODEX_CLIENT_ID},
        )
        if answer.status == 404:
            raise RenewalRefused(
                "device_login_disabled", "the issuer has no device login", permanent=True
            )
        fields = _fields(answer, secret=Secret(""))
        device_id = _text(fields, "device_auth_id")
        user_code = _text(fields, "user_code") or _text(fields, "usercode")
        if device_id is None or user_code is None:
            raise RenewalUnknown("the answer names no device code")
        return DeviceLogin(
            device_id=Secret(device_id),
            user_code=user_code,
            url=f"{self._issuer}/codex/device",
            interval_s=_interval_s(fields.get("interval")),
        )

    async def poll_device(
        self, login: DeviceLogin, *, proxy_url: Secret | None
    ) -> AuthorizationGrant | None:
        """Return the grant of a device login, or None while the person has not agreed.

        Raises:
            RenewalRefused: The server said no.
            RenewalUnknown: Sent, but no answer that can be read.
            RenewalUnsent: Not sent.
        """
        answer = await self._post(
            "/api/accounts/deviceauth/token",
            proxy_url=proxy_url,
            json={"device_auth_id": login.device_id.reveal(), "user_code": login.user_code},
        )
        if answer.status in {403, 404}:
            return None
        fields = _fields(answer, secret=login.device_id)
        code, verifier = _text(fields, "authorization_code"), _text(fields, "code_verifier")
        if code is None or verifier is None:
            raise RenewalUnknown("the answer names no authorization code")
        return AuthorizationGrant(code=Secret(code), verifier=Secret(verifier), device=True)

    async def _tokens(
        self, form: dict[str, str], *, secret: Secret, proxy_url: Secret | None
    ) -> Tokens:
        answer = await self._post("/oauth/token", proxy_url=proxy_url, form=form)
        fields = _fields(answer, secret=secret)
        tokens = Tokens(
            access_token=_secret(fields, "access_token"),
            refresh_token=_secret(fields, "refresh_token"),
            id_token=_secret(fields, "id_token"),
            expires_at=_expires_at(fields.get("expires_in"), now=self._clock.now()),
        )
        if tokens.access_token is None and tokens.refresh_token is None:
            raise RenewalUnknown("the answer holds no token")
        return tokens

    async def _post(
        self,
        path: str,
        *,
        proxy_url: Secret | None,
        form: dict[str, str] | None = None,
        json: dict[str, str] | None = None,
    ) -> _Answer:
        """Return the answer to one POST on a connection of its own."""
        try:
            async with (
                asyncio.timeout(self._route.timeout_s),
                self._client(proxy_url or self._route.proxy_url) as client,
                client.stream("POST", self._issuer + path, data=form, json=json) as reply,
            ):
                body = await _body(reply)
                wait_s = retry_after_s(reply.headers.items(), now=self._clock.now())
                return _Answer(reply.status_code, body, wait_s)
        # The chain is cut: the library's exceptions hold the request, and so the token.
        except _UNSENT as error:
            raise RenewalUnsent(f"no connection: {type(error).__name__}") from None
        except TimeoutError:
            raise RenewalUnknown(f"no answer within {self._route.timeout_s:g} s") from None
        except httpx.HTTPError as error:
            raise RenewalUnknown(f"the answer broke off: {type(error).__name__}") from None

    def _client(self, proxy_url: Secret | None) -> httpx.AsyncClient:
        # Of each step of connecting (TCP, TLS), so that it is told from a wait for the answer.
        connect_s = min(_CONNECT_TIMEOUT_S, self._route.timeout_s / 3)
        return httpx.AsyncClient(
            proxy=self._proxy(proxy_url) if proxy_url else None,
            verify=self._route.tls,
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(self._route.timeout_s, connect=connect_s),
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=0),
            headers={"user-agent": self._user_agent, "accept": "application/json"},
        )

    def _proxy(self, proxy_url: Secret) -> httpx.Proxy:
        try:
            url = httpx.URL(proxy_url.reveal())
            tls = self._route.tls if url.scheme == "https" else None
            return httpx.Proxy(url, ssl_context=tls)
        except (ValueError, httpx.InvalidURL):
            raise RenewalUnsent("the proxy's URL is not http, https or socks5") from None


def trust_store(ca_file: str | None) -> ssl.SSLContext:
    """Return the TLS context of the control plane; `ca_file` adds private authorities.

    Raises:
        OSError: `ca_file` can't be read or holds no certificate.
    """
    context = httpx.create_ssl_context(trust_env=False)
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context


async def _body(reply: httpx.Response) -> bytes:
    parts: list[bytes] = []
    left = _BODY_BYTES_MAX
    async for part in reply.aiter_bytes():
        left -= len(part)
        if left < 0:
            raise RenewalUnknown("the answer is too large")
        parts.append(part)
    return b"".join(parts)


def _fields(answer: _Answer, *, secret: Secret) -> Mapping[str, object]:
    if not 200 <= answer.status < 300:
        wait_s = answer.retry_after_s
        raise refusal(answer.status, answer.body, secret=secret, retry_after_s=wait_s)
    fields = decoded(answer.body)
    if fields is None:
        raise RenewalUnknown("the answer is not a JSON object")
    return fields


def _text(fields: Mapping[str, object], name: str) -> str | None:
    found = fields.get(name)
    return found if isinstance(found, str) and found else None


def _secret(fields: Mapping[str, object], name: str) -> Secret | None:
    found = _text(fields, name)
    return None if found is None else Secret(found)


def _expires_at(expires_in: object, *, now: float) -> float | None:
    seconds = _number(expires_in)
    return now + seconds if seconds is not None and 0 < seconds < _LIFETIME_S_MAX else None


def _interval_s(value: object) -> float:
    seconds = _number(value)
    if seconds is None or seconds <= 0:
        return _POLL_INTERVAL_S
    return min(seconds, _POLL_INTERVAL_S_MAX)


def _number(value: object) -> float | None:
    """Return a finite number, whether it came as one or as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
