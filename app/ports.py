"""What the gateway needs from the world, as Protocols.

Services depend on these; shells satisfy them; `compose` introduces the two. A test passes
a fake from `tests/fakes`.
"""

from collections.abc import Callable, Collection, Sequence
from enum import StrEnum
from typing import Protocol, runtime_checkable

from msgspec import Struct

from app.dialects.chat_upstream.replies import Retold
from app.domain.account import Account, AccountId, Secret
from app.domain.call import Call, Dialect
from app.domain.caller import Caller, KeyId
from app.domain.conversation import Conversation
from app.domain.enrolment import Identity
from app.domain.ledger import AttemptRow, RequestRow
from app.domain.outcome import Outcome
from app.domain.quota import QuotaView
from app.domain.shared import (
    AccountTally,
    Binding,
    Bound,
    Claim,
    Fence,
    KeySpent,
    Presence,
    Rung,
    SharedEvent,
    Snapshot,
    Tidings,
)
from app.domain.usage import Heard


@runtime_checkable
class Clock(Protocol):
    """Time, so that a test can hold it still."""

    def now(self) -> float:
        """Return seconds since the epoch: for what is stored, shared or told to others."""

    def monotonic(self) -> float:
        """Return seconds of a clock that never steps: for what is measured or waited for."""


class TokenCounter(Protocol):
    """Knows how many tokens texts have."""

    async def count(self, texts: Sequence[str]) -> int:
        """Return the tokens of all texts together; the loop goes on meanwhile."""


class Feed(Protocol):
    """What a reply's body comes through, for who wants to be called instead of waiting."""

    def listen(self, told: Callable[[], None] | None) -> None:
        """Call `told`, or nobody any more, each time something has come or the body is over.

        It is called by whoever has received that, so it must not raise.
        """

    def take(self) -> bytes | None:
        """Return what has come, empty if nothing has; None if only `read` can say what is up."""


class UpstreamReply(Protocol):
    """A reply whose head has arrived. Call `finish` or `abort` exactly once, whatever happens."""

    headers: Sequence[tuple[str, str]]
    """Names in lower case, in the order in which they came. Who needs them no more may empty them:
    they are kilobytes, and a stream lasts for minutes."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def messages(self) -> bool:
        """True if each piece that `read` returns is one event's data, not server-sent bytes."""

    @property
    def retold(self) -> Retold | None:
        """Who tells the stream in Responses events, None if it is made of these already."""

    @property
    def feed(self) -> Feed | None:
        """Another way to what `read` returns, if there is one; one of them is used at a time."""

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

    def leased(self, call: Call, reason: str, waited_s: float) -> None:
        """A lease was found: why this account (`Lease.reason`), after how long in line."""

    def refused(self, call: Call, code: str, waited_s: float) -> None:
        """No lease was found: with which code the call ends, after how long in line."""

    def began(self, call: Call, account: Account) -> None:
        """The first content of an attempt's reply has come and was passed on to nobody yet."""

    def attempt(self, call: Call, account: Account, outcome: Outcome, heard: Heard | None) -> None:
        """An attempt is over; its last event, if there was one, was passed on to nobody yet.

        `heard` is what its reply showed, None if none had begun.
        """


class Pipe(Protocol):
    """An upstream's WebSocket that is handed through message by message."""

    async def send(self, data: bytes) -> None:
        """Send a text message; returns when the other side takes it in.

        Raises:
            UpstreamFailure: The connection is over.
        """

    async def read(self) -> bytes:
        """Return the next message.

        Raises:
            UpstreamFailure: The connection is over.
        """

    @property
    def code(self) -> int | None:
        """The close code, once the connection is over."""

    async def close(self) -> None:
        """End it; a second call changes nothing."""


class PipeRefused(Exception):
    """The upstream answered a handshake over HTTP."""

    def __init__(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        super().__init__(str(status))
        self.status = status
        self.headers = headers
        self.body = body


class Pipes(Protocol):
    """Opens them."""

    async def dial(self, account: Account, call: Call) -> Pipe:
        """Return the account's connection for the call's model.

        Raises:
            PipeRefused: It was refused, and why.
            UpstreamFailure: Nobody answered.
        """


class CallObserver(Protocol):
    """Is told how calls go, as their callers see them; must return at once and never raise."""

    def stream_began(self, call: Call, first_event_s: float) -> None:
        """The first content of a stream is about to go out."""

    def stream_ended(self, call: Call) -> None:
        """A stream that had begun is over."""

    @property
    def passed(self) -> Callable[[float, float, float], float]:
        """Is called for each piece of a stream once its caller has taken it; returns the time.

        It was asked for, it came, and it was made into what the caller gets: the arguments, on
        the monotonic clock.
        """

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


class History(Protocol):
    """What callers' responses answered, so that `previous_response_id` can be honoured."""

    @property
    def everything(self) -> bool:
        """True if what is not to be stored is wanted as well: the memory of one connection."""

    @property
    def conversation_bytes_max(self) -> int:
        """The size beyond which a conversation is not kept."""

    async def recall(self, caller_id: KeyId, response_id: str) -> Conversation | None:
        """Return the caller's conversation up to that response; None if it is not known."""

    async def item(self, caller_id: KeyId, item_id: str) -> bytes | None:
        """Return an item of one of the caller's responses by its id, as JSON without the id."""

    def record(self, caller_id: KeyId, conversation: Conversation) -> None:
        """Keep a conversation. Never waits."""


class HistoryStore(Protocol):
    """Where all workers find what one of them has recorded."""

    def keep(self, caller_id: KeyId, conversation: Conversation) -> None:
        """Write a conversation's last turn soon. Never waits."""

    async def find(self, caller_id: KeyId, response_id: str) -> Conversation | None:
        """Return the caller's conversation up to that response; None if it is not there.

        Raises:
            SharedUnavailable: Nobody can say now.
        """

    async def find_item(self, caller_id: KeyId, item_id: str) -> bytes | None:
        """Return an item of one of the caller's responses by its id, None if it is not there.

        Raises:
            SharedUnavailable: Nobody can say now.
        """


class Tokens(Struct, frozen=True):
    """What a token exchange gave; None where the authorization server left a field out."""

    access_token: Secret | None
    refresh_token: Secret | None
    id_token: Secret | None
    expires_at: float | None


class RenewalRefused(Exception):
    """The authorization server answered and said no.

    `retry_after_s` is how long it wants to be left alone, None where it did not say.
    """

    def __init__(
        self, code: str, message: str, *, permanent: bool, retry_after_s: float | None = None
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.permanent = permanent
        self.retry_after_s = retry_after_s


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


class RenewalKind(StrEnum):
    """How an attempt to renew a credential ended, by its name in the account's events."""

    RENEWED = "renewed"
    ADOPTED = "renewal_adopted"
    REFUSED = "renewal_refused"
    UNKNOWN = "renewal_unknown"
    POSTPONED = "renewal_postponed"


class RenewalEvent(Struct, frozen=True):
    """An attempt to renew a credential, as people will read of it.

    `next_at` is when the credential is renewed or tried next, None if that is never.
    """

    kind: RenewalKind
    at: float
    code: str | None = None
    next_at: float | None = None


class CredentialStore(Protocol):
    """Where credentials outlive the process. All of it raises `StateError` if the store is away."""

    async def refresh_token(self, account_id: AccountId) -> tuple[Secret, int] | None:
        """Return the stored refresh token and its generation, or None if there is none."""

    async def intend(self, account_id: AccountId, *, generation: int, at: float) -> bool:
        """Note that the token of `generation` is about to be spent; False if it is not current."""

    async def renewed(
        self,
        account_id: AccountId,
        tokens: Tokens,
        *,
        generation: int,
        at: float,
        next_at: float | None = None,
    ) -> Account | None:
        """Store what the exchange of `generation` bought, as generation + 1, and that event.

        Fields that the server left out keep their old values. Returns the account as it is
        now, or None if another process had already moved past `generation`.
        """

    async def refused(
        self, account_id: AccountId, *, generation: int, code: str, permanent: bool, at: float
    ) -> bool:
        """Record that the token of `generation` was not spent, and whether it is dead.

        False, and nothing is recorded, if another process had already moved past `generation`.
        """

    async def remember(self, account_id: AccountId, event: RenewalEvent) -> None:
        """Keep an event that no other step keeps; one that repeats the last is counted there."""

    async def forget_events(self, *, at: float) -> int:
        """Delete events that are too old at `at`, some thousands at most, and return how many."""


class AccountSource(Protocol):
    """Where accounts are read as they are now. All of it raises `StateError` if that is away."""

    async def account(self, account_id: AccountId) -> Account | None:
        """Return one account, None if it is gone."""

    async def accounts(self) -> Sequence[Account]:
        """Return all accounts."""

    async def identify(self, account_id: AccountId, who: Identity, *, at: float) -> Account | None:
        """Record who an account is; call it with a credential that was renewed just now.

        Where another row is the same account, that one takes the credential over, this one goes,
        and the other is returned. None if there is no such row.
        """


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


class ModelsUnavailable(Exception):
    """The upstream gave no list of models; the message says why and holds no secret.

    `status` is that of its answer, None if there was none.
    """

    def __init__(self, reason: str, *, status: int | None = None) -> None:
        super().__init__(reason)
        self.status = status


class ModelSource(Protocol):
    """Where the models of accounts with an API key can be asked for."""

    async def models(self, account: Account) -> tuple[str, ...]:
        """Return the names of the account's models.

        Raises:
            ModelsUnavailable: No answer, or none that is a list of models.
        """


class UsageUnavailable(Exception):
    """The upstream did not say what is used; the message says why and holds no secret.

    `refused` says that it did not accept the credential (401, 403), which does not prove that the
    refresh token is dead. `retry_after_s` is what it asked for before the next question.
    """

    def __init__(
        self, reason: str, *, refused: bool = False, retry_after_s: float | None = None
    ) -> None:
        super().__init__(reason)
        self.refused = refused
        self.retry_after_s = retry_after_s


class UsageServer(Protocol):
    """Where an account's usage can be asked for without spending any of it."""

    async def usage(self, account: Account) -> QuotaView:
        """Return what the upstream says about the account's limits, after one question.

        Raises:
            UsageUnavailable: No answer in time, or none that says anything about limits.
        """


class RowRefused(Exception):
    """The database refuses a row for what it is, not for how the database is just now."""


class Ledger(Protocol):
    """Where the rows of the journal end up."""

    async def positions(self, segments: Sequence[str]) -> dict[str, int]:
        """Return how far each of these segments has been taken; those never seen are left out.

        Raises:
            StateError: The database is away.
        """

    async def take(
        self,
        attempts: Sequence[AttemptRow],
        requests: Sequence[RequestRow],
        *,
        segment: str,
        offset: int,
    ) -> None:
        """Take rows and note in the same transaction that `segment` was read up to `offset`.

        Nothing happens if it had been read that far before, and rows that are there already stay
        as they are.

        Raises:
            RowRefused: One of the rows is at fault; none was taken.
            StateError: The database is away; none was taken.
        """

    async def check(self, attempts: Sequence[AttemptRow], requests: Sequence[RequestRow]) -> None:
        """Try rows as `take` would, and leave no trace of it.

        Raises:
            RowRefused: One of them is at fault.
            StateError: The database is away.
        """

    async def forget(self, segments: Sequence[str]) -> None:
        """Forget the places of segments that are about to be deleted.

        Raises:
            StateError: The database is away; nothing was forgotten.
        """


class SharedUnavailable(Exception):
    """The other processes can't be reached now; the message says why and holds no secret."""


class SharedView(Protocol):
    """What the other processes have said so far, from memory."""

    @property
    def heard_at(self) -> float | None:
        """When they were last heard of, on the monotonic clock; None if never."""

    @property
    def processes(self) -> int:
        """How many processes are alive, this one included."""

    @property
    def rank(self) -> int:
        """The place of this process among those that are alive, from 0."""

    @property
    def short(self) -> Collection[AccountId]:
        """Accounts of which others want more than they have."""

    @property
    def presences(self) -> Sequence[tuple[str, Presence]]:
        """The others that are alive."""

    def account(self, account_id: AccountId) -> AccountTally:
        """Return what the others have done with an account, those that are gone included."""

    def spent(self, key_id: KeyId) -> KeySpent:
        """Return what the others have spent for a key in the latest day and month they know."""

    def spending(self) -> Sequence[KeySpent]:
        """Return the same of each key for which it has changed since this was asked."""

    def needs(self, account_id: AccountId, own: int) -> Sequence[int]:
        """Return how many calls each live process has or wants, by rank; `own` at this one's."""


class SharedState(Protocol):
    """What the processes of one installation have in common. Nobody on a call's path awaits it.

    Each method returns or raises within some hundred milliseconds.
    """

    @property
    def incarnation(self) -> str:
        """The name of this process, never used before nor again."""

    @property
    def up(self) -> bool:
        """False while the others can't be reached."""

    def view(self) -> SharedView:
        """Return what the others have said; the same object each time, and always up to date."""

    def announce(self, event: SharedEvent) -> None:
        """Tell the others with the next `publish`. Never waits, and is kept until it was told."""

    async def publish(self, snapshot: Snapshot) -> Tidings:
        """Say how this process stands, and hear what the others have said since.

        What could not be said is said with the next one.

        Raises:
            SharedUnavailable: It is not known whether it was said.
        """

    async def claim(self, claims: Sequence[Claim]) -> Sequence[int]:
        """Record shares of accounts; returns how many credits this process holds of each now.

        Raises:
            SharedUnavailable: It is not known whether they were recorded.
        """

    async def lease(self, name: str, *, ttl_s: float) -> Fence | None:
        """Lease a name for some time; None if somebody else has it.

        It ends early if its holder is gone. A holder that is slow may outlive its lease, so what
        it does under it must be refused by whoever keeps the truth once another one has done it.

        Raises:
            SharedUnavailable: Nobody can say.
        """

    async def release(self, fence: Fence, *, after_s: float = 0.0) -> None:
        """Give a lease back so much later; nothing happens if somebody else has it by now."""

    async def bind(self, bindings: Sequence[Binding]) -> None:
        """Tell those who listen at once what belongs to which account; it is told once only.

        Whose an encrypted item is can be asked for later as well, if it can be kept somewhere.

        Raises:
            SharedUnavailable: Nobody may have heard it.
        """

    async def bell(self) -> Rung | Bound | None:
        """Return what another process wants to be heard at once, None after a while."""

    async def leave(self) -> None:
        """Say that this process is going: others may have its shares at once."""
