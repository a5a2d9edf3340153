"""How long the accounts last: a forecast with an 80 % interval, of one account and the pool. Pure.

Every account is a tank (`app.pool.meters`) and the load a rate with an uncertainty
(`app.pool.burn`); the tanks are drained (`app.pool.tanks`) at the rate to expect, at a low one and
at a high one. So resets count (a window that is reset before it is empty limits nobody), and when
one account is used up its load moves to the others. One account alone is forecast by the load that
it had itself. Credits are taken to last. Nothing here changes an account.
"""

from collections.abc import Iterable
from math import inf
from typing import Final

from msgspec import Struct, structs

from app.domain.account import AccountId
from app.pool.burn import Burn
from app.pool.meters import HEARD_EVERY_S, Filled, Meter, Peers, filled, learnt
from app.pool.policy import Policy
from app.pool.state import AccountState, Health
from app.pool.tanks import Dry, drain

Z: Final = 1.2816
"""Standard deviations around the median that 80 % of a normal distribution lie within."""
SHARE_SIGMA: Final = 0.1
"""An account's share of the load changes with the other accounts, which its own past can't tell."""
SAMPLE_MAX: Final = 48
"""Accounts that stand for a larger pool, evenly spread over the operator's order."""
POINTS_MAX: Final = 256
"""Of the pool's memory; there is only one of it."""
ROUNDS: Final = 2
"""A rate is asked for a span of time, and the span follows from the rate."""
SPAN_FIRST_S: Final = 3_600.0
HORIZON_MIN_S: Final = 86_400.0


class Runway(Struct, frozen=True):
    """How many seconds are left until no account is; `inf` is "longer than its longest window"."""

    low_s: float
    """In nine of ten cases it is more."""
    mid_s: float
    high_s: float
    """In one of ten cases it is more."""
    limited_by: str
    """The window that ends it, by its length (`5h`, `7d`); empty if none does."""


class Runways:
    """Listens to what accounts spend, and forecasts; at most one meter an account."""

    def __init__(self) -> None:
        self._meters: dict[AccountId, Meter] = {}
        self._burn: Burn | None = None
        self._peers: Peers = {}

    def heard(self, state: AccountState, *, now: float) -> None:
        """Take in that the upstream has spoken of the account's quota; mostly does nothing.

        Call it after `state.windows` has been brought up to date.
        """
        meter = self._meters.get(state.account.id)
        if meter is not None and abs(now - meter.heard_at) < HEARD_EVERY_S:
            return
        if self._burn is None:
            self._burn = Burn(now, points_max=POINTS_MAX)
        if meter is None:
            meter = self._meters[state.account.id] = Meter(Burn(now), now, state.tokens)
        self._burn.add(meter.hear(state, now=now), now=now)

    def forget(self, account_id: AccountId) -> None:
        """Forget an account that is gone; what it spent stays part of the pool's past."""
        self._meters.pop(account_id, None)

    def account(self, state: AccountState, *, pause_at: float, now: float) -> Runway | None:
        """Return how long the account lasts if it goes on as it was used.

        None if it is not used, or if nothing is known of the size of its windows yet.
        """
        meter = self._meters.get(state.account.id)
        tank = filled(state, meter, self._peers, pause_at=pause_at, now=now)
        if meter is None or tank is None:
            return None
        doubted = structs.replace(tank, doubt=tank.doubt + SHARE_SIGMA**2)
        return _forecast([doubted], meter.burn, now=now)

    def pool(self, states: Iterable[AccountState], policy: Policy, *, now: float) -> Runway | None:
        """Return how long the pool lasts if the load goes on as it was.

        Accounts whose credential opens nothing are left out. None if there is no load, or if
        nothing is known of the size of any window yet.
        """
        usable = [s for s in states if s.health not in (Health.BANNED, Health.EXPIRED)]
        count = min(len(usable), SAMPLE_MAX)
        sample = [usable[number * len(usable) // count] for number in range(count)]
        pairs = [(state, self._meters.get(state.account.id)) for state in sample]
        self._peers = learnt(self._peers, pairs)
        tanks = [
            filled(state, meter, self._peers, pause_at=policy.pauses_at(state.account), now=now)
            for state, meter in pairs
        ]
        known = [tank for tank in tanks if tank is not None]
        if self._burn is None or not known:
            return None
        return _forecast(known, self._burn, share=count / len(usable), now=now)


def _forecast(tanks: list[Filled], burn: Burn, *, now: float, share: float = 1.0) -> Runway | None:
    """Drain the tanks, which carry `share` of the load; the cautious forecast trusts fewer."""
    # The errors of many accounts cancel out.
    doubt = sum(tank.doubt for tank in tanks) / len(tanks) ** 2
    everybody = [each.tank for each in tanks]
    told = [each.tank for each in tanks if each.told] or everybody
    periods = [level.period_s for tank in everybody for level in tank.levels]
    horizon_s = 1.1 * max([HORIZON_MIN_S, *periods])
    found = []
    for z, chosen in ((Z, told), (0.0, everybody), (-Z, everybody)):
        dry = Dry(inf)
        span_s = SPAN_FIRST_S
        for _ in range(ROUNDS):
            forecast = burn.forecast(span_s, now=now)
            if forecast is None:
                return None
            load = forecast.rate(z, doubt=doubt) * share
            dry = drain(chosen, load, horizon_s=horizon_s)
            span_s = min(dry.at_s, horizon_s)
        found.append(dry)
    low, mid, high = sorted(found, key=lambda dry: dry.at_s)
    return Runway(low.at_s, mid.at_s, high.at_s, mid.limited_by or low.limited_by)
