"""What one account spends, and how much its quota windows hold, in tokens. Pure.

Upstreams tell the used share of a window and never its size. A meter learns the size from how the
share grows with the tokens that the gateway counts, and until it has, from what accounts of the
same plan have learnt. What is spent elsewhere on the same account makes its windows look smaller,
which is right: that much of them is not for us. Windows of other families than the main one limit
single models and are left out.
"""

from collections.abc import Iterable
from math import inf
from statistics import median
from typing import Final

from msgspec import Struct, field

from app.domain.quota import MAIN_FAMILY
from app.pool import quota
from app.pool.burn import Burn
from app.pool.state import AccountState, Gauge
from app.pool.tanks import Level, Tank

HEARD_EVERY_S: Final = 30.0
"""A reply tells the quota of its account each time; looking at it this often is enough."""
LEARNT_MIN: Final = 0.02
"""Share of a window that must have been seen being spent before its size is known at all."""
LEARNT_MAX: Final = 1.0
"""Beyond it what was learnt before counts half: what a token weighs depends on the models."""
PEERS_SHARE: Final = 0.02
"""The word of the accounts of the same plan counts as if so much had been seen."""
ROUNDING: Final = 0.004
"""Upstreams tell whole percents: the standard deviation of the difference of two of them."""
PEERS_MAX: Final = 64
"""Windows of plans whose size is remembered."""

Peers = dict[tuple[str | None, int], float]
"""(plan, minutes of a window) to its size in tokens."""


class Scale(Struct):
    """How many tokens one window of one account holds, as far as it is known."""

    used_ratio: float
    reset_at: float | None
    tokens: int
    """What the account had spent in all when `used_ratio` was told."""
    learnt: float = 0.0
    """Share of the window that was seen being spent, and the tokens that it took."""
    spent: float = 0.0

    def hear(self, gauge: Gauge, tokens: int) -> None:
        """Learn from what the upstream says now, unless a reset lies between."""
        grown = gauge.used_ratio - self.used_ratio
        if grown >= 0.0 and not _moved(gauge.reset_at, self.reset_at):
            self.learnt += grown
            self.spent += tokens - self.tokens
            if self.learnt > LEARNT_MAX:
                self.learnt /= 2.0
                self.spent /= 2.0
        self.used_ratio, self.reset_at, self.tokens = gauge.used_ratio, gauge.reset_at, tokens

    @property
    def size(self) -> float | None:
        """Tokens in a whole window; None while too little was seen."""
        return self.spent / self.learnt if self.learnt >= LEARNT_MIN and self.spent else None

    def size_among(self, peers: float | None) -> float | None:
        """Return the size if accounts like this one say `peers`."""
        own = self.size
        if own is None or peers is None:
            return own or peers
        return (self.spent + PEERS_SHARE * peers) / (self.learnt + PEERS_SHARE)


class Meter(Struct):
    """One account's spending; at most one scale for each window that the state knows."""

    burn: Burn
    heard_at: float
    tokens: int
    scales: dict[int, Scale] = field(default_factory=dict)
    """By the window's minutes."""

    def hear(self, state: AccountState, *, now: float) -> int:
        """Take in how the account stands now; return the tokens since the last time."""
        amount = state.tokens - self.tokens
        self.heard_at = now
        self.tokens = state.tokens
        self.burn.add(amount, now=now)
        for minutes, gauge in _gauges(state):
            scale = self.scales.get(minutes)
            if scale is None:
                self.scales[minutes] = Scale(gauge.used_ratio, gauge.reset_at, state.tokens)
            else:
                scale.hear(gauge, state.tokens)
        if len(self.scales) > len(state.windows):
            self.scales = {minutes: self.scales[minutes] for minutes, _ in _gauges(state)}
        return amount


class Filled(Struct, frozen=True):
    """An account as a tank, and how well its content is known."""

    tank: Tank
    doubt: float = 0.0
    """Variance of the logarithm of what is left in it."""
    told: bool = True
    """False if the upstream never spoke of the account's windows: they are taken to be full."""


def learnt(peers: Peers, accounts: Iterable[tuple[AccountState, Meter | None]]) -> Peers:
    """Return `peers` with what these accounts know of their windows, at most `PEERS_MAX`."""
    known: dict[tuple[str | None, int], list[float]] = {}
    for state, meter in accounts:
        for minutes, scale in meter.scales.items() if meter else ():
            if (size := scale.size) is not None:
                known.setdefault((state.account.plan, minutes), []).append(size)
    # What is known now comes first, so that the oldest are those that are left out.
    found = peers | {key: median(each) for key, each in known.items()}
    latest = sorted(found, key=lambda key: key not in known)
    return {key: found[key] for key in latest[:PEERS_MAX]}


def filled(
    state: AccountState, meter: Meter | None, peers: Peers, *, pause_at: float, now: float
) -> Filled | None:
    """Return the account as a tank; None if nothing is known of its size."""
    opens_s = max(0.0, state.rests_until - now)
    paid = state.credits
    if paid is not None and (paid.available or paid.unlimited):
        return Filled(Tank((), opens_s))
    levels: list[Level] = []
    tightest = inf
    doubt = 0.0
    for minutes, gauge in _gauges(state):
        scale = (meter.scales.get(minutes) if meter else None) or Scale(0.0, None, 0)
        size = scale.size_among(peers.get((state.account.plan, minutes)))
        if size is None:
            continue
        level = _level(minutes, gauge, size, pause_at, now)
        levels.append(level)
        if 0.0 < level.left < tightest:
            tightest = level.left
            doubt = _doubt(scale, size / level.left)
    if levels:
        return Filled(Tank(tuple(levels), opens_s), doubt)
    full = [
        _full(minutes, size * pause_at)
        for (plan, minutes), size in peers.items()
        if plan == state.account.plan
    ]
    return Filled(Tank(tuple(full), opens_s), told=False) if full else None


def window_name(minutes: int) -> str:
    """Return a window's length as people say it: `5h`, `7d`, `90m`; `unknown` for 0."""
    if not minutes:
        return "unknown"
    if minutes % 1440 == 0:
        return f"{minutes // 1440}d"
    return f"{minutes // 60}h" if minutes % 60 == 0 else f"{minutes}m"


def _gauges(state: AccountState) -> list[tuple[int, Gauge]]:
    """Return the windows that limit the whole account and have a length."""
    return [
        (minutes, gauge)
        for (family, minutes), gauge in state.windows.items()
        if family == MAIN_FAMILY and minutes
    ]


def _level(minutes: int, gauge: Gauge, size: float, pause_at: float, now: float) -> Level:
    full = _full(minutes, size * pause_at)
    if quota.ends_at(gauge) <= now:
        return full
    reset_s = full.period_s if gauge.reset_at is None else max(0.0, gauge.reset_at - now)
    left = size * (pause_at - gauge.used_ratio)
    return Level(full.name, left, full.size, reset_s, full.period_s)


def _full(minutes: int, size: float) -> Level:
    period_s = minutes * 60.0
    return Level(window_name(minutes), size, size, period_s, period_s)


def _doubt(scale: Scale, whole_by_left: float) -> float:
    """Return what rounding does to the size and to what is left of it."""
    learnt = scale.learnt + PEERS_SHARE
    return (ROUNDING / learnt) ** 2 + (ROUNDING * whole_by_left) ** 2


def _moved(new: float | None, old: float | None) -> bool:
    """Tell whether two resets are those of different windows."""
    if new is None or old is None:
        return new is not old
    return abs(new - old) > quota.SAME_WINDOW_S
