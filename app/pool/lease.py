"""What a call gets of the pool: a lease, or word of when to come back."""

from msgspec import Struct

from app.domain.account import Account


class Lease(Struct, frozen=True):
    """The right to make one attempt on one account. Settle it exactly once."""

    account: Account
    number: int
    reason: str = ""
    """Why this account: `only`, `preferred`, `owner`, `session`, or the strategy's name."""


class NotBefore(Struct, frozen=True):
    """No account can take the call now.

    `at` is the earliest known moment (epoch seconds) at which one may; None if only a settled
    lease can make room (`busy`) or if nothing will (no account serves the model at all).
    """

    at: float | None
    busy: bool
