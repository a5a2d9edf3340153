"""Logging in: from the operator's browser, or a code that he types elsewhere, to an account.

In the browser the registered address to come back to is the operator's own machine, where
nothing listens; so he copies the address that his browser ends at and pastes it here. `state`
ties it to the login that was begun, and the PKCE verifier, which never leaves, proves that the
code is ours. Logins in progress live in memory, few and not for long: a login must be finished
in the process that began it. Nothing is stored here; the account that comes out is the caller's.
"""

from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Generic, Protocol, TypeVar
from urllib.parse import parse_qs, urlsplit

from msgspec import Struct

from app.accounts.new_account import NewAccount, Unusable, from_tokens, printable
from app.domain.account import Secret
from app.domain.login import AuthorizationGrant, DeviceLogin
from app.errors import InvalidRequest, NotSupportedByUpstream, UpstreamError
from app.ports import Clock, RenewalRefused, RenewalUnknown, RenewalUnsent, Tokens

LOGINS_MAX = 256
LOGIN_TTL_S = 900.0
"""As long as the authorization server keeps a device code."""

_PASTED_CHARS_MAX = 8192
_QUERY_FIELDS_MAX = 32
_DEVICE_LOGIN_DISABLED = "device_login_disabled"


class LoginServer(Protocol):
    """The side of the authorization server that logins need; failures as in `AuthServer`."""

    def authorize_url(self, *, challenge: str, state: str) -> str:
        """Return the address at which a person logs in; `challenge` is PKCE S256."""

    async def exchange_code(self, grant: AuthorizationGrant, *, proxy_url: Secret | None) -> Tokens:
        """Return what a one-time code buys."""

    async def start_device(self, *, proxy_url: Secret | None) -> DeviceLogin:
        """Open a device-code login; refused as `device_login_disabled` if there is none."""

    async def poll_device(
        self, login: DeviceLogin, *, proxy_url: Secret | None
    ) -> AuthorizationGrant | None:
        """Return the grant of a device login, or None while the person has not agreed."""


class BrowserLogin(Struct, frozen=True):
    """A login that was begun: send the operator to `url`, keep `state` until he comes back."""

    state: str
    url: str
    expires_at: float


class DeviceCode(Struct, frozen=True):
    """A device login that was begun: show `user_code` and `url`, poll with `id`."""

    id: str
    user_code: str
    url: str
    interval_s: float
    expires_at: float


class _Browser(Struct, frozen=True):
    verifier: Secret
    proxy_url: Secret | None


class _Device(Struct):
    """`poll_at` keeps the server's pace; while `grant` is there only the exchange is missing."""

    login: DeviceLogin
    proxy_url: Secret | None
    poll_at: float
    grant: AuthorizationGrant | None = None
    busy: bool = False


class Logins:
    """All logins in progress."""

    def __init__(
        self, *, server: LoginServer, clock: Clock, entropy: Callable[[int], bytes]
    ) -> None:
        """Take `entropy` as a source of unguessable bytes (`secrets.token_bytes`)."""
        self._server = server
        self._clock = clock
        self._entropy = entropy
        self._browsers: _Pending[_Browser] = _Pending(clock)
        self._devices: _Pending[_Device] = _Pending(clock)

    def begin(self, *, proxy_url: Secret | None = None) -> BrowserLogin:
        """Begin a login in the browser; `proxy_url` is the account's own."""
        state, verifier = _text(self._entropy(32)), _text(self._entropy(64))
        challenge = _text(sha256(verifier.encode()).digest())
        expires_at = self._browsers.put(state, _Browser(Secret(verifier), proxy_url))
        url = self._server.authorize_url(challenge=challenge, state=state)
        return BrowserLogin(state=state, url=url, expires_at=expires_at)

    async def finish(
        self, pasted: str, *, state: str | None = None, name: str | None = None
    ) -> NewAccount:
        """Return the account of a login, from the address that the browser ended at.

        A bare code will do together with `state`. The login is spent, however this ends (and
        if it is cancelled); only if the authorization server could not be reached may the same
        be pasted again.

        Raises:
            InvalidRequest: There is no code in `pasted`, no such login, or it was refused.
            UpstreamError: The authorization server is away, busy or silent.
        """
        code, told = _pasted(pasted)
        if told is not None and state is not None and told != state:
            raise InvalidRequest("The pasted address belongs to another login.", param="state")
        key = told or state or ""
        login = self._browsers.take(key)
        if login is None:
            raise InvalidRequest(
                "There is no such login, or it has expired: begin anew.", param="state"
            )
        grant = AuthorizationGrant(code=Secret(code), verifier=login.verifier)
        try:
            with _told():
                tokens = await self._server.exchange_code(grant, proxy_url=login.proxy_url)
        except Unreached:
            self._browsers.put(key, login)
            raise
        return _account(tokens, name)

    async def begin_device(self, *, proxy_url: Secret | None = None) -> DeviceCode:
        """Begin a login with a code that is typed on any device.

        Raises:
            NotSupportedByUpstream: The authorization server has no such login.
            InvalidRequest: It refused.
            UpstreamError: It is away, busy or silent.
        """
        with _told():
            login = await self._server.start_device(proxy_url=proxy_url)
        key = _text(self._entropy(16))
        poll_at = self._clock.now() + login.interval_s
        expires_at = self._devices.put(key, _Device(login, proxy_url, poll_at))
        return DeviceCode(
            id=key,
            user_code=login.user_code,
            url=login.url,
            interval_s=login.interval_s,
            expires_at=expires_at,
        )

    async def poll_device(self, id: str, *, name: str | None = None) -> NewAccount | None:
        """Return the account of a device login, or None while the person has not agreed.

        May be asked at any pace: the authorization server is asked at its own.

        Raises:
            InvalidRequest: There is no such login, or it was refused.
            UpstreamError: The authorization server is away, busy or silent; ask again.
        """
        device = self._devices.get(id)
        if device is None:
            raise InvalidRequest(
                "There is no such login, or it has expired: begin anew.", param="id"
            )
        if device.busy:
            return None
        device.busy = True
        try:
            with _told():
                tokens = await self._polled(device)
        except InvalidRequest:
            self._devices.take(id)
            raise
        finally:
            device.busy = False
        if tokens is None:
            return None
        self._devices.take(id)
        return _account(tokens, name)

    async def _polled(self, device: _Device) -> Tokens | None:
        if device.grant is None:
            now = self._clock.now()
            if now < device.poll_at:
                return None
            device.poll_at = now + device.login.interval_s
            device.grant = await self._server.poll_device(device.login, proxy_url=device.proxy_url)
        if device.grant is None:
            return None
        return await self._server.exchange_code(device.grant, proxy_url=device.proxy_url)


class Unreached(UpstreamError):
    """The request never left, so that the same may be tried again."""


T = TypeVar("T")


class _Pending(Generic[T]):
    """Logins by key: at most `LOGINS_MAX`, each for `LOGIN_TTL_S`, the oldest goes first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._logins: dict[str, tuple[float, T]] = {}

    def put(self, key: str, login: T) -> float:
        """Keep a login and return when it expires (epoch seconds)."""
        expires_at = self._clock.now() + LOGIN_TTL_S
        while len(self._logins) >= LOGINS_MAX:
            del self._logins[next(iter(self._logins))]
        self._logins[key] = (expires_at, login)
        return expires_at

    def get(self, key: str) -> T | None:
        """Return a login that has not expired."""
        expires_at, login = self._logins.get(key, (0.0, None))
        if expires_at <= self._clock.now():
            self._logins.pop(key, None)
            return None
        return login

    def take(self, key: str) -> T | None:
        """Return a login that has not expired, and forget it."""
        login = self.get(key)
        self._logins.pop(key, None)
        return login


@contextmanager
def _told() -> Iterator[None]:
    """Say in the callers' errors what the authorization server's failures mean."""
    try:
        yield
    except RenewalRefused as refused:
        if refused.code == _DEVICE_LOGIN_DISABLED:
            raise NotSupportedByUpstream(
                "The authorization server has no login by device code."
            ) from refused
        sentence = f"The authorization server refused the login: {refused.code}."
        if refused.permanent:
            raise InvalidRequest(sentence) from refused
        raise UpstreamError(sentence) from refused
    except RenewalUnknown as error:
        raise UpstreamError(
            "The authorization server gave no answer that can be used: begin the login anew."
        ) from error
    except RenewalUnsent as error:
        raise Unreached("The authorization server could not be reached.") from error


def _account(tokens: Tokens, name: str | None) -> NewAccount:
    try:
        return from_tokens(tokens, name=name)
    except Unusable as error:
        raise UpstreamError(f"The authorization server's answer is unusable: {error}.") from error


def _pasted(text: str) -> tuple[str, str | None]:
    """Return the code and, if it is there, the state of what a person pasted."""
    pasted = text.strip()
    if not pasted or len(pasted) > _PASTED_CHARS_MAX:
        raise InvalidRequest("Paste the address that the browser ended at.", param="code")
    if "=" not in pasted and "/" not in pasted:
        code, _, state = pasted.partition("#")
        return code, state or None
    query = _query(pasted)
    if "error" in query:
        reason = printable(query["error"][:64])
        raise InvalidRequest(f"The login was refused: {reason}.", param="code")
    if "code" not in query:
        raise InvalidRequest("There is no code in the pasted address.", param="code")
    return query["code"], query.get("state")


def _query(pasted: str) -> dict[str, str]:
    """Return the query of an address, or of what is only its end."""
    try:
        query = urlsplit(pasted).query if "?" in pasted else pasted
        fields = parse_qs(query, max_num_fields=_QUERY_FIELDS_MAX)
    except ValueError:
        raise InvalidRequest("The pasted address can't be read.", param="code") from None
    return {name: values[0] for name, values in fields.items()}


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
