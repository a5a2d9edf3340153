"""What an attempt showed: values, not errors.

`app.relay.diagnosis` makes them, `app.pool.health` draws the account's conclusions,
`app.relay.verdict` the call's. A new kind of outcome is a new struct here, and the type
checker names every place that must answer it.
"""

from msgspec import Struct

from app.domain.usage import Usage


class Succeeded(Struct, frozen=True):
    """The terminal event came; `first_event_s` is how long the first content took."""

    first_event_s: float
    usage: Usage | None = None


class RateLimited(Struct, frozen=True):
    """The account is at a limit until `reset_at` (epoch seconds); None if nobody said.

    `model` limits the cooling to one model; None means the whole account.
    """

    reset_at: float | None
    model: str | None = None
    burst: bool = False
    plan: str | None = None


class Unauthorized(Struct, frozen=True):
    """The credential was refused; `dead` if the upstream said that it stays refused."""

    dead: bool
    reason: str


class Overloaded(Struct, frozen=True):
    """The upstream is too busy; says nothing about the account."""

    reason: str


class Broken(Struct, frozen=True):
    """The transport or the upstream failed: connection, 5xx, a stream cut short."""

    reason: str
    sent: bool
    """False only if it is certain that the request never left."""
    silent: bool = False
    """The upstream said nothing for too long."""


class Unreachable(Struct, frozen=True):
    """The route to the upstream is at fault (proxy, challenge page), not the account."""

    reason: str


class Unsuited(Struct, frozen=True):
    """This account may not serve this model; another one may."""

    model: str
    reason: str


class Misread(Struct, frozen=True):
    """Encrypted items came from another account; without them the request may pass."""

    status: int
    body: bytes


class Refused(Struct, frozen=True):
    """The request itself is at fault: no account will take it, no account is to blame."""

    status: int
    code: str | None
    type: str | None
    message: str
    param: str | None = None


class Abandoned(Struct, frozen=True):
    """The caller left first; nothing can be said about the account."""


Outcome = (
    Succeeded
    | RateLimited
    | Unauthorized
    | Overloaded
    | Broken
    | Unreachable
    | Unsuited
    | Misread
    | Refused
    | Abandoned
)
