"""Logging in: from the operator's browser, or a code that he types elsewhere, to an account.

In the browser the registered address to come back to is the operator's own machine, where
nothing listens; so he copies the address that his browser ends at and pastes it here. `state`
ties it to the login that was begun, and the PKCE verifier, which never leaves, proves that the
code is ours. Logins in progress are few and not for long, and are kept by whoever is given for it:
a login may be finished in another process than the one that began it, if both are given the same.
Nothing is stored here; the account that comes out is the caller's.
"""

from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import parse_qs, urlsplit

import msgspec
from msgspec import Struct

from app.accounts.new_account import NewAccount, Unusable, from_tokens, printable
from app.domain.account import Secret
from app.domain.login import AuthorizationGrant, Claim, DeviceLogin
from app.errors import InvalidRequest, NotSupportedByUpstream, UpstreamError
from app.ports import Clock, RenewalRefused, RenewalUnknown, RenewalUnsent, Tokens

LOGIN_TTL_S: Final = 900.0
"""As long as the authorization server keeps a device code."""
HELD_S: Final = 120.0
"""For so long nobody else goes on with a device login whose process may have died meanwhile: longer
than the authorization server is waited for."""

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


class PendingLogins(Protocol):
    """Where logins in progress are kept, `LOGINS_MAX` at most; an id is as long as it likes."""

    async def put(self, id: str, login: Secret, *, expires_at: float, due_at: float) -> None:
        """Keep a login; it replaces one of the same id."""

    async def take(self, id: str, *, now: float) -> Secret | None:
        """Return a login that has not expired, and forget it: to one only, if several take it."""

    async def claim(self, id: str, *, now: float, until: float) -> Claim | None:
        """Return a login that is due, and let nobody else have it before `until`.

        None if there is no such login, or it has expired.
        """


class _Browser(Struct, frozen=True):
    verifier: Secret
    proxy_url: Secret | None
    expires_at: float


class _Device(Struct, frozen=True):
    """While `grant` is there only the exchange is missing."""

    login: DeviceLogin
    proxy_url: Secret | None
    expires_at: float
    grant: AuthorizationGrant | None = None


class Logins:
    """All logins in progress."""

    def __init__(
        self,
        *,
        server: LoginServer,
        pending: PendingLogins,
        clock: Clock,
        entropy: Callable[[int], bytes],
    ) -> None:
        """Take `entropy` as a source of unguessable bytes (`secrets.token_bytes`)."""
        self._server = server
        self._pending = pending
        self._clock = clock
        self._entropy = entropy

    async def begin(self, *, proxy_url: Secret | None = None) -> BrowserLogin:
        """Begin a login in the browser; `proxy_url` is the account's own."""
        state, verifier = _text(self._entropy(32)), _text(self._entropy(64))
        challenge = _text(sha256(verifier.encode()).digest())
        login = _Browser(Secret(verifier), proxy_url, self._clock.now() + LOGIN_TTL_S)
        await self._put(_browser(state), login)
        url = self._server.authorize_url(challenge=challenge, state=state)
        return BrowserLogin(state=state, url=url, expires_at=login.expires_at)

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
        kept = await self._pending.take(_browser(key), now=self._clock.now())
        if kept is None:
            raise InvalidRequest(
                "There is no such login, or it has expired: begin anew.", param="state"
            )
        login = _decoded(kept, _Browser)
        grant = AuthorizationGrant(code=Secret(code), verifier=login.verifier)
        try:
            with _told():
                tokens = await self._server.exchange_code(grant, proxy_url=login.proxy_url)
        except Unreached:
            await self._put(_browser(key), login)
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
        key, now = _text(self._entropy(16)), self._clock.now()
        device = _Device(login, proxy_url, now + LOGIN_TTL_S)
        await self._put(_device(key), device, due_at=now + login.interval_s)
        return DeviceCode(
            id=key,
            user_code=login.user_code,
            url=login.url,
            interval_s=login.interval_s,
            expires_at=device.expires_at,
        )

    async def poll_device(self, id: str, *, name: str | None = None) -> NewAccount | None:
        """Return the account of a device login, or None while the person has not agreed.

        May be asked at any pace: the authorization server is asked at its own.

        Raises:
            InvalidRequest: There is no such login, or it was refused.
            UpstreamError: The authorization server is away, busy or silent; ask again.
        """
        now = self._clock.now()
        claim = await self._pending.claim(_device(id), now=now, until=now + HELD_S)
        if claim is None:
            raise InvalidRequest(
                "There is no such login, or it has expired: begin anew.", param="id"
            )
        if claim.login is None:
            return None
        device = _decoded(claim.login, _Device)
        due_at = now if device.grant else now + device.login.interval_s
        over = False
        try:
            with _told():
                device = await self._granted(device)
                if device.grant is None:
                    return None
                due_at = now
                proxy_url = device.proxy_url
                tokens = await self._server.exchange_code(device.grant, proxy_url=proxy_url)
            over = True
        except InvalidRequest:
            over = True
            raise
        finally:
            if over:
                await self._pending.take(_device(id), now=now)
            else:
                await self._put(_device(id), device, due_at=due_at)
        return _account(tokens, name)

    async def _granted(self, device: _Device) -> _Device:
        """Return the login with its grant, if the person has agreed."""
        if device.grant is not None:
            return device
        grant = await self._server.poll_device(device.login, proxy_url=device.proxy_url)
        return msgspec.structs.replace(device, grant=grant)

    async def _put(self, id: str, login: _Browser | _Device, *, due_at: float = 0.0) -> None:
        text = Secret(msgspec.json.encode(login, enc_hook=_revealed).decode())
        await self._pending.put(id, text, expires_at=login.expires_at, due_at=due_at)


class Unreached(UpstreamError):
    """The request never left, so that the same may be tried again."""


T = TypeVar("T")


def _browser(state: str) -> str:
    return f"browser {state}"


def _device(id: str) -> str:
    return f"device {id}"


def _revealed(value: Any) -> str:
    """Return what is in a secret: the text of a login is one itself."""
    if not isinstance(value, Secret):
        raise TypeError(type(value).__name__)
    return value.reveal()


def _decoded(login: Secret, kind: type[T]) -> T:
    def concealed(wanted: type, value: Any) -> Any:
        return wanted(value)

    return msgspec.json.decode(login.reveal(), type=kind, dec_hook=concealed)


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
