"""What the gateway needs from the world, as Protocols.

Services depend on these; shells satisfy them; `compose` introduces the two. A test passes
a fake from `tests/fakes`.
"""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from app.domain.account import Account, AccountId, Secret
from app.domain.call import Call, Dialect
from app.domain.caller import Caller
from app.domain.outcome import Outcome


class Clock(Protocol):
    """Time, so that a test can hold it still."""

    def now(self) -> float:
        """Return seconds since the epoch: for what is stored, shared or told to others."""

    def monotonic(self) -> float:
        """Return seconds of a clock that never steps: for what is measured or waited for."""


class UpstreamReply(Protocol):
    """A reply whose head has arrived. Call `finish` or `abort` exactly once, whatever happens."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def headers(self) -> Sequence[tuple[str, str]]:
        """The headers, names in lower case, in the order in which they came."""

    async def read(self) -> bytes | None:
        """Return the next piece of the body as it arrived, or None at its proper end.

        Raises:
            UpstreamFailure: The body broke off or broke the protocol.
        """

    async def finish(self) -> None:
        """Let go after the last byte that matters; keeps the connection if it is clean."""

    async def abort(self) -> None:
        """Let go now; the upstream sees the connection close."""


class UpstreamFailure(Exception):
    """No reply, or no more of it.

    `sent` is False only if the request certainly never left; `route` says that the way to the
    upstream (proxy, DNS, TLS) failed, which is never an account's fault.
    """

    def __init__(self, reason: str, *, sent: bool, route: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sent = sent
        self.route = route


class Upstream(Protocol):
    """Sends one call with one account's credential."""

    async def send(self, account: Account, call: Call) -> UpstreamReply:
        """Return as soon as the reply's head is there.

        Cancelling closes the connection. There is no timeout in here: the relay owns time.

        Raises:
            UpstreamFailure: No reply began.
        """


class Observer(Protocol):
    """Is told what happens on the path of a call; must return at once and never raise."""

    def attempt(self, call: Call, account: Account, outcome: Outcome) -> None:
        """An attempt is over."""


class CallObserver(Protocol):
    """Is told how calls go, as their callers see them; must return at once and never raise."""

    def stream_began(self, call: Call, first_event_s: float) -> None:
        """The first content of a stream is about to go out."""

    def stream_ended(self) -> None:
        """A stream that had begun is over."""

    def call(
        self, dialect: Dialect, call: Call | None, status: int, code: str, seconds: float
    ) -> None:
        """A request was answered: with which status and code, after how long."""


class Callers(Protocol):
    """Who may ask, from memory."""

    def find(self, key: str) -> Caller | None:
        """Return the caller whose key this is, in a time that does not depend on the key."""

    @property
    def empty(self) -> bool:
        """True while no key at all is configured."""


class Tokens(Struct, frozen=True):
    """What a token exchange gave; None where the authorization server left a field out."""

    access_token: Secret | None
    refresh_token: Secret | None
    id_token: Secret | None
    expires_at: float | None


class RenewalRefused(Exception):
    """The authorization server answered and said no."""

    def __init__(self, code: str, message: str, *, permanent: bool) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.permanent = permanent


class RenewalUnknown(Exception):
    """The exchange may or may not have happened: the refresh token may be spent."""


class RenewalUnsent(Exception):
    """The request certainly never left; the refresh token is as good as before."""


class AuthServer(Protocol):
    """The authorization server that renews credentials."""

    async def renew(self, refresh_token: Secret, *, proxy_url: Secret | None) -> Tokens:
        """Spend `refresh_token` and return what it bought. Never retried in here.

        Raises:
            RenewalRefused: The server said no, for good or for now.
            RenewalUnknown: Sent, but no answer.
            RenewalUnsent: Not sent.
        """


class CredentialStore(Protocol):
    """Where credentials outlive the process."""

    async def refresh_token(self, account_id: AccountId) -> tuple[Secret, int] | None:
        """Return the stored refresh token and its generation, or None if there is none."""

    async def intend(self, account_id: AccountId, *, generation: int, at: float) -> bool:
        """Note that the token of `generation` is about to be spent; False if it is not current."""

    async def renewed(
        self, account_id: AccountId, tokens: Tokens, *, generation: int, at: float
    ) -> Account | None:
        """Store what the exchange of `generation` bought, as generation + 1.

        Fields that the server left out keep their old values. Returns the account as it is
        now, or None if another process had already moved past `generation`.
        """

    async def refused(
        self, account_id: AccountId, *, code: str, permanent: bool, at: float
    ) -> None:
        """Record that a renewal failed and whether the refresh token is dead."""


class Manifest(Struct, frozen=True):
    """Which models there are and what they can do, as the upstream tells Codex clients."""

    body: bytes
    etag: str


class ManifestUnavailable(Exception):
    """The upstream gave no manifest; the message says why and holds no secret."""


class ManifestSource(Protocol):
    """Where live manifests come from."""

    async def fetch(
        self, account: Account, client_version: str, if_none_match: str | None
    ) -> Manifest | None:
        """Return what the account may see with a client of this version; None if unchanged.

        Raises:
            ManifestUnavailable: No answer, or none that is a manifest.
        """
