"""When calls arrive and what they want, drawn from a plan by its seed.

Arrivals are a Poisson process whose rate is constant between two edges (an hour, a burst's begin
or end); the draws are exact however the rate changes. The load is drawn before any decision of the
pool and from a source of its own, so every strategy is measured with the very same calls.
"""

from bisect import bisect, bisect_right
from itertools import accumulate
from random import Random
from typing import Final, NamedTuple

from app.domain.call import Call, Dialect
from app.domain.caller import KeyId
from app.simulation.plan import Curve, Load

DAY_S: Final = 86_400.0
HOUR_S: Final = 3_600.0
_BUSINESS_DAY: Final = (
    *(0.25, 0.2, 0.2, 0.2, 0.2, 0.3, 0.5, 0.9),
    *(1.5, 2.0, 2.2, 2.0, 1.6, 1.9, 2.2, 2.1),
    *(1.8, 1.4, 1.0, 0.8, 0.7, 0.6, 0.5, 0.4),
)


class Wish(NamedTuple):
    """A call and what it takes: from its sending to its first content, and then to its end."""

    at: float
    call: Call
    tokens: int
    first_event_s: float
    stream_s: float
    bound: bool
    """Only the account that served the session's last call can read it."""


class Arrivals:
    """The calls of a plan, one after the other; two with the same seed draw the same."""

    def __init__(self, load: Load, *, rng: Random) -> None:
        self._load = load
        self._rng = rng
        self._edges, self._rates = _rates(load)
        self._at = 0.0
        self._number = 0
        self._key_edges = _edges([key.weight for key in load.keys])
        self._model_edges = _edges([model.weight for model in load.models])
        self._key_ids = [KeyId(key.name) for key in load.keys]

    def draw(self) -> Wish:
        """Return the next call."""
        rng, load = self._rng, self._load
        self._at = self._next_at()
        self._number += 1
        place = bisect(self._key_edges, rng.random()) if len(self._key_ids) > 1 else 0
        key = load.keys[place]
        models = load.models
        model = models[bisect(self._model_edges, rng.random())] if len(models) > 1 else models[0]
        session = None
        if rng.random() < load.session_share:
            session = f"{key.name}:{int(rng.random() * load.sessions_per_key)}"
        call = Call(
            f"call-{self._number}",
            self._key_ids[place],
            Dialect.RESPONSES,
            model.name,
            b"",
            session_key=session,
            groups=key.groups,
            tags=key.tags,
        )
        return Wish(
            self._at,
            call,
            int(load.tokens_median * _factor(rng, load.tokens_sigma)) + 1,
            load.first_event_s_median * _factor(rng, load.first_event_s_sigma),
            load.stream_s_median * _factor(rng, load.stream_s_sigma),
            session is not None and rng.random() < load.bound_share,
        )

    def _next_at(self) -> float:
        """Return when the next call arrives: a unit of the rate's integral later."""
        at = self._at
        due = self._rng.expovariate(1.0)
        day, time = divmod(at, DAY_S)
        place = bisect_right(self._edges, time) - 1
        while True:
            end = self._edges[place + 1]
            rate = self._rates[place]
            if rate * (end - time) > due:
                return day * DAY_S + time + due / rate
            due -= rate * (end - time)
            time, place = end, place + 1
            if place == len(self._rates):
                day, time, place = day + 1, 0.0, 0


def _rates(load: Load) -> tuple[list[float], list[float]]:
    """Return the edges of a day's pieces and the rate of calls (per second) in each."""
    edges = {hour * HOUR_S for hour in range(25)}
    for burst in load.bursts:
        start = burst.at_hour * HOUR_S
        edges |= {start, min(DAY_S, start + burst.minutes * 60.0)}
    ordered = sorted(edges)
    return ordered, [_rate(load, at) for at in ordered[:-1]]


def _rate(load: Load, at: float) -> float:
    rate = load.calls_per_minute / 60.0
    if load.curve is Curve.BUSINESS_DAY:
        rate *= _BUSINESS_DAY[int(at // HOUR_S)] * len(_BUSINESS_DAY) / sum(_BUSINESS_DAY)
    for burst in load.bursts:
        start = burst.at_hour * HOUR_S
        if start <= at < start + burst.minutes * 60.0:
            rate *= burst.factor
    return rate


def _edges(weights: list[float]) -> list[float]:
    """Return the upper edges of shares between 0 and 1, all but the last."""
    total = sum(weights)
    return [edge / total for edge in accumulate(weights)][:-1]


def _factor(rng: Random, sigma: float) -> float:
    return rng.lognormvariate(0.0, sigma) if sigma else 1.0
