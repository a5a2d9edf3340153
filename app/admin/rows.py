"""What administration needs from a store, as Protocols; `app.store` satisfies them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from app.domain.account import AccountId, Secret
from app.domain.admin import Answer, AuditEntry, Password, Session
from app.domain.caller import Allowance, KeyId
from app.domain.enrolment import (
    AccountChanges,
    AccountEvent,
    Added,
    CreatedKey,
    Enrolment,
    KeyChanges,
    StoredAccount,
    StoredKey,
)
from app.domain.ledger import AttemptRow
from app.domain.report import (
    Code,
    Detail,
    Dimension,
    Latency,
    Line,
    Only,
    Overview,
    Page,
    Place,
    Point,
    Totals,
    Wanted,
    Window,
)
from app.domain.runtime import RuntimeSettings


@runtime_checkable
class AdminRows(Protocol):
    """The administrator's password, second factor and sessions."""

    async def password(self) -> Password | None:
        """Return the password as it is stored."""

    async def first_password(self, hash: str, *, at: float) -> bool:
        """Store the password unless there is one."""

    async def set_password(self, hash: str, *, at: float) -> None:
        """Replace the password, and end every session."""

    async def take_step(self, step: int) -> bool:
        """Note the time step of a one-time code; False if it was used before."""

    async def second_factor(self, *, pending: bool = False) -> Secret | None:
        """Return the secret of the one-time codes."""

    async def set_second_factor(self, secret: Secret | None, *, pending: bool = False) -> None:
        """Replace or remove it."""

    async def add_session(self, session: Session, *, expired_before: tuple[float, float]) -> None:
        """Store a session, and delete old ones."""

    async def session(self, digest: str) -> Session | None:
        """Return a session."""

    async def sessions(self) -> list[Session]:
        """Return all sessions."""

    async def see_session(self, digest: str, *, at: float) -> None:
        """Note that a session was used."""

    async def end_session(self, digest: str) -> bool:
        """End a session, named by its digest or its id."""


@runtime_checkable
class AuditRows(Protocol):
    """The audit log."""

    async def note(self, entry: AuditEntry) -> None:
        """Add an entry."""

    async def page(
        self, *, before: int | None = None, limit: int = 50, action: str | None = None
    ) -> list[AuditEntry]:
        """Return entries, the latest first."""


@runtime_checkable
class AnswerRows(Protocol):
    """Answers that are kept to be given again."""

    async def begin(self, id: str, fingerprint: str, *, at: float) -> Answer | None:
        """Return what is known of a request, or None once it is noted that it begins."""

    async def end(self, id: str, status: int, body: bytes) -> None:
        """Keep an answer."""

    async def forget(self, id: str) -> None:
        """Let a request be sent again."""


@runtime_checkable
class AccountRows(Protocol):
    """The accounts."""

    async def find(self, account_id: AccountId) -> StoredAccount | None:
        """Return one account."""

    async def add(self, new: Enrolment, *, at: float, issued_now: bool = False) -> Added:
        """Add an account, or refresh the one that it already is."""

    async def add_all(self, new: Sequence[Enrolment], *, at: float) -> Sequence[Added]:
        """Add many in one transaction."""

    async def edit(
        self,
        account_id: AccountId,
        changes: AccountChanges,
        *,
        at: float,
        version: int | None = None,
    ) -> StoredAccount | None:
        """Change an account of a version."""

    async def update_all(
        self, account_ids: Sequence[AccountId], changes: AccountChanges, *, at: float
    ) -> int:
        """Change many alike."""

    async def delete(self, account_id: AccountId) -> bool:
        """Delete an account."""

    async def export(self, account_id: AccountId, *, at: float) -> dict[str, Secret | None] | None:
        """Return all tokens of an account; leaves an event."""

    async def events(self, account_id: AccountId) -> Sequence[AccountEvent]:
        """Return what happened to an account, newest first."""


@runtime_checkable
class KeyRows(Protocol):
    """The callers' keys."""

    async def create(  # noqa: PLR0913 - keyword-only, one per field of a key
        self,
        *,
        name: str,
        at: float,
        key: Secret | None = None,
        expires_at: float | None = None,
        models: tuple[str, ...] = (),
        groups: tuple[str, ...] = (),
        tags: tuple[str, ...] = (),
        endpoints: tuple[str, ...] = (),
        networks: tuple[str, ...] = (),
        allowance: Allowance = ...,
    ) -> CreatedKey:
        """Make a key."""

    async def list(self, *, revoked: bool = False) -> list[StoredKey]:
        """Return the keys, oldest first."""

    async def change(
        self, key_id: KeyId, changes: KeyChanges, *, version: int | None = None
    ) -> StoredKey | None:
        """Change a key of a version."""

    async def revoke(self, key_id: KeyId, *, at: float) -> bool:
        """Revoke a key for good."""


@runtime_checkable
class SettingsRows(Protocol):
    """The operator's settings."""

    async def versioned(self) -> tuple[RuntimeSettings, int]:
        """Return the settings and their version."""

    async def change(
        self,
        changed: Callable[[RuntimeSettings], RuntimeSettings],
        *,
        at: float,
        version: int | None = None,
    ) -> RuntimeSettings:
        """Replace the settings of a version."""


@runtime_checkable
class ReportRows(Protocol):
    """Sums over calls."""

    async def overview(self, now: float, only: Only = ...) -> Overview:
        """Return the windows that everybody looks at first."""

    async def series(self, window: Window, now: float, only: Only = ...) -> list[Point]:
        """Return a point for each hour or day."""

    async def lines(
        self, dimension: Dimension, window: Window, now: float, only: Only = ...
    ) -> list[Line]:
        """Return the models, accounts or callers, most requests first."""

    async def codes(self, window: Window, now: float, only: Only = ...) -> list[Code]:
        """Return the errors, most frequent first."""

    async def latency(self, window: Window, now: float, only: Only = ...) -> Latency:
        """Return how long the first events took."""

    async def since(
        self, dimension: Dimension, ids: Sequence[str], *, start: float
    ) -> Mapping[str, Totals]:
        """Return the sums of some accounts or callers since an hour began."""


@runtime_checkable
class RequestRows(Protocol):
    """Single requests."""

    async def page(self, wanted: Wanted, *, after: Place | None = None, limit: int = 50) -> Page:
        """Return requests, the latest first."""

    async def request(self, uid: str) -> Detail | None:
        """Return one request with its attempts."""

    async def attempts(self, account_id: str, *, limit: int = 50) -> list[AttemptRow]:
        """Return an account's latest attempts."""
