"""`make runway`: how often the truth lies inside the 80 % interval of the forecast.

Each trace is a small pool under a load of some shape, which the gateway observes as it does in
earnest: whole percents, once a minute. At a moment that was drawn beforehand the runway of the pool
and of one account is forecast; then the trace goes on until the truth is known, or until the
longest window has passed. Shape, load, plan and moment come from the trace's seed, and none of them
is known to the forecast. A truth that never comes is inside if the interval has no end. The exit
status is 1 if a share of truths inside is not in `BAND`.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from math import exp, inf, log, pi, sin
from random import Random
from statistics import median
from typing import Final

from msgspec import Struct, field

from app.domain.account import Account, AccountId, AccountKind, Credential, Secret
from app.domain.quota import MAIN_FAMILY, QuotaView, QuotaWindow
from app.pool import quota
from app.pool.policy import Policy
from app.pool.runway import Runway, Runways
from app.pool.state import AccountState

BAND: Final = (0.75, 0.90)
SEEDS: Final = (1, 2, 3)
TRACES: Final = 200
SHAPES: Final = ("constant", "daily", "bursts", "ramp", "drift")
PLANS: Final = ((300, 10_080), (300, 10_080), (300,), (10_080,), (43_200,))
"""Windows that accounts have, in minutes; most have a short one and a long one."""
DAY_S: Final = 86_400.0


class Window(Struct):
    """One quota window as it really is."""

    minutes: int
    size: float
    reset_at: float
    used: float

    def roll(self, now: float) -> None:
        """Begin anew if the reset has come."""
        while self.reset_at <= now:
            self.reset_at += self.minutes * 60.0
            self.used = 0.0

    def told(self) -> QuotaWindow:
        """Return what the upstream says of it."""
        percent = int(100 * self.used / self.size)
        return QuotaWindow(MAIN_FAMILY, self.minutes, percent / 100, self.reset_at)


class Upstream(Struct):
    """One account as it really is, beside what the gateway knows of it."""

    state: AccountState
    windows: list[Window]

    @property
    def open(self) -> bool:
        """Tell whether it serves."""
        return all(window.used < window.size for window in self.windows)

    def spend(self, tokens: float) -> None:
        """Use it; the gateway counts along."""
        self.state.tokens += round(tokens)
        for window in self.windows:
            window.used += tokens


class Load(Struct):
    """Tokens a second over time: a shape, and single calls that make it rough."""

    rng: Random
    shape: str
    mean: float
    lasts_s: float
    """How long the pool would last, roughly; the shape is made to this measure."""
    call: float
    """Tokens of one call."""
    swing: float
    phase: float
    pace_s: float
    busy: bool = True
    turns_at: float = 0.0
    level: float = 0.0

    def tokens(self, at: float, step_s: float) -> float:
        """Return what is spent from `at` on for so long."""
        amount = self.mean * self._rate(at, step_s) * step_s
        calls = max(amount / self.call, 0.01)
        return amount * self.rng.gammavariate(calls, 1.0 / calls)

    def _rate(self, at: float, step_s: float) -> float:
        match self.shape:
            case "daily":
                return 1.0 + self.swing * sin(2.0 * pi * at / DAY_S + self.phase)
            case "bursts":
                if at >= self.turns_at:
                    self.busy = not self.busy
                    self.turns_at = at + self.rng.expovariate(1.0 / self.pace_s)
                return 1.9 if self.busy else 0.1
            case "ramp":
                slope = 2.5 * self.swing if self.phase > pi else -0.5 * self.swing
                return max(0.05, 1.0 + slope * at / self.lasts_s)
            case "drift":
                steps = step_s / self.pace_s
                self.level += self.rng.gauss(0.0, 0.5 * steps**0.5) - 0.1 * self.level * steps
                return exp(self.level)
        return 1.0


class Trace(Struct):
    """One pool under one load."""

    rng: Random
    upstreams: list[Upstream]
    load: Load
    forecast_at: float
    step_s: float
    now: float = 0.0
    runways: Runways = field(default_factory=Runways)

    def step(self) -> bool:
        """Go on by one step; False if nobody was there to take the load."""
        for upstream in self.upstreams:
            for window in upstream.windows:
                window.roll(self.now)
        tokens = self.load.tokens(self.now, self.step_s)
        self.now += self.step_s
        usable = [upstream for upstream in self.upstreams if upstream.open]
        shares = [self.rng.uniform(0.5, 1.5) for _ in usable]
        for upstream, share in zip(usable, shares, strict=True):
            upstream.spend(tokens * share / sum(shares))
        return bool(usable)

    def listen(self) -> None:
        """Let the gateway hear what the upstream says."""
        for upstream in self.upstreams:
            view = QuotaView(windows=tuple(window.told() for window in upstream.windows))
            quota.hear(upstream.state, view, pause_at=1.0, now=self.now)
            self.runways.heard(upstream.state, now=self.now)


class Case(Struct, frozen=True):
    """A forecast, and what came."""

    what: str
    shape: str
    runway: Runway
    truth_s: float

    @property
    def early(self) -> bool:
        """The end came before the interval."""
        return self.truth_s < self.runway.low_s

    @property
    def late(self) -> bool:
        """The end came after the interval."""
        return self.truth_s > self.runway.high_s


def trace(rng: Random) -> Trace:
    """Draw a trace."""
    lengths = rng.choice(PLANS)
    size = 10 ** rng.uniform(6.0, 8.0)
    sizes = [size, size * rng.uniform(3.0, 10.0)]
    upstreams = [
        _upstream(number, lengths, sizes, rng) for number in range(rng.choice((1, 2, 4, 8)))
    ]
    left = sum(min(w.size - w.used for w in upstream.windows) for upstream in upstreams)
    # From a twentieth of the shortest window to three of it.
    lasts_s = lengths[0] * 60.0 * _scale(rng, 0.05, 3.0)
    mean = left / lasts_s
    load = Load(
        rng=rng,
        shape=rng.choice(SHAPES),
        mean=mean,
        lasts_s=lasts_s,
        call=mean * 60.0 * _scale(rng, 0.03, 3.0),
        swing=rng.uniform(0.3, 0.95),
        phase=rng.uniform(0.0, 2.0 * pi),
        pace_s=lasts_s * _scale(rng, 0.02, 0.5),
    )
    return Trace(
        rng=rng,
        upstreams=upstreams,
        load=load,
        forecast_at=lasts_s * _scale(rng, 0.1, 2.0),
        step_s=60.0 if lasts_s < DAY_S else 300.0,
    )


def cases(rng: Random) -> list[Case]:
    """Draw traces until one is alive when it is to be forecast, and return what became of it."""
    while True:
        drawn = trace(rng)
        alive = True
        while alive and drawn.now < drawn.forecast_at:
            alive = drawn.step()
            drawn.listen()
        usable = [upstream for upstream in drawn.upstreams if upstream.open]
        if alive and usable:
            return _outcome(drawn, rng.choice(usable))


def _outcome(drawn: Trace, chosen: Upstream) -> list[Case]:
    at = drawn.now
    states = [upstream.state for upstream in drawn.upstreams]
    forecasts = {
        "pool": drawn.runways.pool(states, Policy(), now=at),
        "account": drawn.runways.account(chosen.state, pause_at=1.0, now=at),
    }
    truths = {"pool": inf, "account": inf}
    until = at + 1.1 * max(DAY_S, *(window.minutes * 60.0 for window in chosen.windows))
    while drawn.now < until and truths["pool"] == inf:
        drawn.step()
        if truths["account"] == inf and not chosen.open:
            truths["account"] = drawn.now - at
        if not any(upstream.open for upstream in drawn.upstreams):
            truths["pool"] = drawn.now - at
    return [
        Case(what, drawn.load.shape, runway, truths[what])
        for what, runway in forecasts.items()
        if runway is not None
    ]


def _upstream(number: int, lengths: Sequence[int], sizes: list[float], rng: Random) -> Upstream:
    account = Account(
        id=AccountId(f"a{number}"),
        name=f"a{number}",
        kind=AccountKind.CODEX,
        credential=Credential(Secret("")),
        plan="plus",
    )
    windows = []
    for minutes, typical in zip(lengths, sizes, strict=False):
        size = typical * rng.uniform(0.9, 1.1)
        # A window that has run for long has been used more, as a rule.
        run = rng.random()
        used = size * min(0.9, run * rng.random())
        windows.append(Window(minutes, size, (1.0 - run) * minutes * 60.0 + 1.0, used))
    return Upstream(AccountState(account), windows)


def _scale(rng: Random, low: float, high: float) -> float:
    """Draw a factor evenly by its logarithm."""
    return exp(rng.uniform(log(low), log(high)))


def report(seed: int, found: Sequence[Case]) -> list[str]:
    """Return the lines that tell how the forecasts of one seed did."""
    lines = []
    for what in ("pool", "account"):
        some = [case for case in found if case.what == what]
        ended = [case for case in some if case.truth_s < inf]
        wrong = [abs(log(case.runway.mid_s / case.truth_s)) for case in ended]
        lines.append(
            f"seed {seed} {what:8} {len(some):4} forecasts  inside {inside(some):6.1%}  "
            f"ended before it {sum(case.early for case in some) / len(some):5.1%}  "
            f"after it {sum(case.late for case in some) / len(some):5.1%}  "
            f"({len(ended)} that ended: inside {inside(ended):6.1%}, "
            f"median error {exp(median(wrong)) - 1.0:.0%})"
        )
    by_shape = Counter(case.shape for case in found)
    shares = (
        f"{shape} {inside([case for case in found if case.shape == shape]):.0%}"
        for shape in SHAPES
        if by_shape[shape]
    )
    return [*lines, f"seed {seed} inside by shape: {', '.join(shares)}"]


def inside(some: Sequence[Case]) -> float:
    """Return the share of truths that lie inside their interval."""
    return sum(not case.early and not case.late for case in some) / max(1, len(some))


def kept(found: Sequence[Case]) -> bool:
    """Tell whether the interval holds what it promises, for the pool and for accounts."""
    shares = [inside([case for case in found if case.what == what]) for what in ("pool", "account")]
    return all(BAND[0] <= share <= BAND[1] for share in shares)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print how often the truth lay inside; return the exit status."""
    parser = argparse.ArgumentParser(prog="make runway", description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--traces", type=int, default=TRACES, help="traces of each seed")
    chosen = parser.parse_args(arguments)
    good = True
    for seed in chosen.seeds:
        found: list[Case] = []
        for number in range(chosen.traces):
            found += cases(Random(f"{seed}/{number}"))
        print("\n".join(report(seed, found)), flush=True)
        good = good and kept(found)
    verdict = "kept" if good else "NOT KEPT"
    print(f"80 % interval, {BAND[0]:.0%} to {BAND[1]:.0%} of truths inside: {verdict}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
