"""All that is known of one account now: what was configured, and what its calls showed.

One `AccountState` belongs to one `AccountPool`, which alone changes it. The counters are plain
integers: nothing between reading and writing them awaits, so nothing needs a lock.
"""

from enum import StrEnum

from msgspec import Struct, field

from app.domain.account import Account


class Health(StrEnum):
    """Whether an account may be leased."""

    READY = "ready"
    COOLING = "cooling"
    EXPIRED = "expired"
    BANNED = "banned"


class AccountState(Struct):
    """One account, its health, and how busy it is."""

    account: Account
    health: Health = Health.READY
    reason: str = ""
    ready_at: float = 0.0
    """Epoch seconds until which a cooling account rests."""
    model_ready_at: dict[str, float] = field(default_factory=dict)
    """Epoch seconds until which one model rests; at most `MODELS_MAX` entries."""
    in_flight: int = 0
    requests: int = 0
    failures: int = 0
    tokens: int = 0
    last_used_at: float = 0.0
    strikes: int = 0
    """Bursts and breaks in a row; a success clears them. They lengthen the next rest."""

    @property
    def full(self) -> bool:
        """Tell whether the account has as many calls in flight as it may."""
        return self.in_flight >= self.account.concurrency_max


MODELS_MAX = 64
