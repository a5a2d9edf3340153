"""What an upstream said about an account's limits: windows, plan, credits."""

from msgspec import Struct

MAIN_FAMILY = "codex"
"""The limit that counts for every model which has none of its own."""
RESET_SLACK_S = 1.0
"""Upstreams name a reset in whole seconds, cut off: it comes at most this much later."""


class QuotaWindow(Struct, frozen=True):
    """How much of one window is used.

    `minutes` is the window's length and its identity within `family` (300 is five hours, 10080
    a week); 0 means that nobody said. `used_ratio` is 0 to 10, 1 is full. `reset_at` is epoch
    seconds, never in the past of the moment when it was read; None means that nobody said.
    """

    family: str
    minutes: int
    used_ratio: float
    reset_at: float | None


class Credits(Struct, frozen=True):
    """What an account can spend once its windows are full."""

    available: bool
    unlimited: bool = False
    balance: str | None = None


class QuotaView(Struct, frozen=True):
    """All that one reply or event said about limits; None and empty where it said nothing.

    `active_family` is the limit that governed the request. `allowed` and `limit_reached` are the
    upstream's own judgement of it. `reached_type` names the limit that was hit.
    """

    windows: tuple[QuotaWindow, ...] = ()
    active_family: str | None = None
    allowed: bool | None = None
    limit_reached: bool | None = None
    reached_type: str | None = None
    plan: str | None = None
    credits: Credits | None = None

    @property
    def empty(self) -> bool:
        """True if nothing was said."""
        return self == _NOTHING


_NOTHING = QuotaView()
