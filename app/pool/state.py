"""All that is known of one account now: what was configured, and what its calls showed.

One `AccountState` belongs to one `AccountPool`, which alone changes it. The counters are plain
integers: nothing between reading and writing them awaits, so nothing needs a lock. Who changes
which part: `health` the health and the rests, `concurrency` the window of calls, `latency` the
wait to expect, `quota` the quota windows, `pool` the rest.
"""

from enum import StrEnum
from typing import Final

from msgspec import Struct, field

from app.domain.account import Account
from app.domain.quota import Credits

UNSHARED: Final = 1 << 30
"""The share of a process that shares its accounts with nobody."""
MODELS_MAX: Final = 64
"""Models whose rests are remembered for one account."""
WINDOWS_MAX: Final = 16
"""Quota windows that are remembered for one account."""


class Health(StrEnum):
    """Whether an account may be leased."""

    READY = "ready"
    COOLING = "cooling"
    """Resting until `rests_until`."""
    PROBING = "probing"
    """Back from a rest, with one call at a time until the upstream has taken one."""
    EXPIRED = "expired"
    """Its credential opens nothing, until it is renewed."""
    BANNED = "banned"
    """Nothing but the operator or a new credential helps."""


class Gauge(Struct):
    """One quota window of an account as it was last heard of, and what was spent in it since."""

    used_ratio: float
    """0 to 10; 1 is full."""
    reset_at: float | None
    """Epoch seconds; once it has passed the window is empty until somebody says otherwise."""
    seen_at: float
    """When the upstream last spoke of it."""
    began_at: float
    """When the counting of `tokens` and `requests` began: the window's start, or first heard of."""
    tokens: int = 0
    requests: int = 0


class AccountState(Struct):
    """One account, its health, and how busy it is."""

    account: Account
    ordinal: int = 0
    """Its number in the operator's order; ties are broken by it."""

    health: Health = Health.READY
    reason: str = ""
    """Why it is not ready, for people."""
    renewing: bool = False
    """It is expired, and a new credential may come at any moment: calls can wait for it."""
    ready_at: float = 0.0
    """Epoch seconds until which a limit or a fault rests it; only ever grows."""
    paused_until: float = 0.0
    """Epoch seconds until which its quota rests it; follows the windows and the thresholds."""
    model_ready_at: dict[str, float] = field(default_factory=dict)
    """Epoch seconds until which one model rests; at most `MODELS_MAX` entries."""
    strikes: int = 0
    """Rests in a row that no success has ended; they lengthen the next one."""
    breaks: int = 0
    """Broken calls in a row; a success clears them."""
    rested_turn: int = -1
    """`turn` when its last rest began: who was leased by then is late. -1 before the first."""
    stale: int = 0
    """Calls in flight since before its last rest, as counted when that ended."""

    in_flight: int = 0
    share: int = UNSHARED
    """Calls that this process may have under way with it, of all that the account takes; the other
    processes have the rest."""
    window: float = 32.0
    """Calls in flight that the account is given now, a fraction of the next one included; between
    1 and its `concurrency_max`."""
    threshold: float = 32.0
    """Up to here the window doubles, above it grows by one call a window."""
    pressed_turn: int = 0
    """`turn` when the window was last halved: refusals of earlier leases halve it no more."""
    wait_s: float = 0.0
    """What a call waits for its first content, a decaying peak; failures count as long waits. 0
    means that nothing is known."""
    wait_at: float = 0.0
    """When `wait_s` and `wait_mean_s` were true; they decay from there."""
    wait_mean_s: float = 0.0
    """The average that `wait_s` decays to; 0 means that nothing is known."""

    windows: dict[tuple[str, int], Gauge] = field(default_factory=dict)
    """Quota windows by (family, minutes); at most `WINDOWS_MAX`."""
    credits: Credits | None = None
    """What it can spend once its windows are full, as the upstream last said."""
    heard_at: float = 0.0
    """When the upstream last spoke of the quota at all, epoch seconds."""

    requests: int = 0
    successes: int = 0
    failures: int = 0
    tokens: int = 0
    last_used_at: float = 0.0
    turn: int = 0
    """Number of its last lease in the order of the pool's leases; 0 before the first."""

    @property
    def cap(self) -> int:
        """How many calls it may have in flight now; 0 if this process has no share of it."""
        cap = 1 + self.stale if self.health is Health.PROBING else int(self.window)
        return min(max(1, min(cap, self.account.concurrency_max)), self.share)

    @property
    def full(self) -> bool:
        """Tell whether the account has as many calls in flight as it may."""
        return self.in_flight >= self.cap

    @property
    def rests_until(self) -> float:
        """Return when it can be ready again, epoch seconds; in the past if it doesn't rest."""
        return max(self.ready_at, self.paused_until)
