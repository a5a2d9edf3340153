"""One account as the upstream keeps it: what it may spend, and which credential opens it.

This is the truth that the gateway only hears of. `at` is the true time in seconds since the start.
"""

from math import ceil
from random import Random

from msgspec import Struct

from app.domain.quota import MAIN_FAMILY, QuotaView, QuotaWindow
from app.simulation.plan import Window
from app.simulation.timeline import EPOCH


class Gauge(Struct):
    """One quota window, and what was spent in it."""

    family: str
    minutes: int
    limit: int
    counts_tokens: bool
    resets_at: float
    used: int = 0

    def roll(self, at: float) -> None:
        """Empty the window if its reset is over."""
        if at >= self.resets_at:
            period_s = self.minutes * 60.0
            self.resets_at += ((at - self.resets_at) // period_s + 1) * period_s
            self.used = 0


class Subscription:
    """The state of one account at the upstream."""

    __slots__ = (
        "_single",
        "exchanges",
        "expires_at",
        "gauges",
        "generation",
        "in_flight",
        "in_flight_max",
        "luck",
        "refused_up_to",
        "revoked",
    )

    def __init__(self, windows: tuple[Window, ...], *, at: float, rng: Random) -> None:
        self.gauges = [_gauge(window, at=at, rng=rng) for window in windows]
        self._single = all(gauge.family == MAIN_FAMILY for gauge in self.gauges)
        self.generation = 0
        self.expires_at: dict[int, float | None] = {}
        """When the access token of a generation ends; None for never."""
        self.refused_up_to = -1
        """Access tokens up to this generation were taken back before their time."""
        self.revoked = False
        self.exchanges = 0
        self.in_flight = 0
        self.in_flight_max = 0
        self.luck = rng.random()
        """0 to 1; outages meet those with little of it first."""

    def opens(self, generation: int, *, at: float) -> bool:
        """Tell whether the access token of that generation is good."""
        ends_at = self.expires_at[generation]
        return generation > self.refused_up_to and (ends_at is None or at < ends_at)

    def admit(self, *, family: str, at: float) -> None:
        """Count a call that is taken, where calls are counted."""
        for gauge in self.gauges:
            if gauge.family == family and not gauge.counts_tokens:
                gauge.roll(at)
                gauge.used += 1

    def spend(self, tokens: int, *, family: str, at: float) -> None:
        """Count the tokens of a call that has ended, where tokens are counted."""
        for gauge in self.gauges:
            if gauge.family == family and gauge.counts_tokens:
                gauge.roll(at)
                gauge.used += tokens

    def limited_until(self, family: str, *, at: float) -> tuple[float, ...]:
        """Return when the family's full windows reset, in no order; empty if none is full."""
        resets: tuple[float, ...] = ()
        for gauge in self.gauges:
            if gauge.family == family:
                gauge.roll(at)
                if gauge.used >= gauge.limit:
                    resets = (*resets, gauge.resets_at)
        return resets

    def used_share(self, *, at: float) -> float:
        """Return the used share of the tightest window that counts for all models, 0 to 1."""
        share = 0.0
        for gauge in self.gauges:
            if gauge.family == MAIN_FAMILY:
                gauge.roll(at)
                share = max(share, gauge.used / gauge.limit)
        return min(1.0, share)

    def view(self, family: str, *, at: float) -> QuotaView:
        """Return what the headers of a reply say now."""
        windows: list[QuotaWindow] = []
        for gauge in self.gauges:
            if self._single or gauge.family in (family, MAIN_FAMILY):
                gauge.roll(at)
                ratio = gauge.used / gauge.limit
                reset_at = EPOCH + gauge.resets_at
                windows.append(QuotaWindow(gauge.family, gauge.minutes, min(10.0, ratio), reset_at))
        return QuotaView(tuple(windows), active_family=family)

    def capacity(self, end_at: float) -> float | None:
        """Return the most tokens that the main windows let through from now on to `end_at`.

        Call it when the account is new. The call during which a window fills may go a little
        beyond. None if no window counts tokens.
        """
        totals = [
            gauge.limit * (1 + ceil(max(0.0, end_at - gauge.resets_at) / (gauge.minutes * 60.0)))
            for gauge in self.gauges
            if gauge.counts_tokens and gauge.family == MAIN_FAMILY
        ]
        return min(totals, default=None)


def _gauge(window: Window, *, at: float, rng: Random) -> Gauge:
    first = window.first_reset_minutes
    first_s = window.minutes * 60.0 * (1.0 - rng.random()) if first is None else first * 60.0
    return Gauge(
        window.family,
        window.minutes,
        window.tokens or window.requests or 1,
        window.tokens is not None,
        at + (first_s or window.minutes * 60.0),
    )
