"""How the next account is chosen, one way for each strategy. Pure.

A chooser makes the orders that fit it and picks among the orders of one tier, which hold only
accounts that may take the call. None of them looks at all accounts: the cost does not grow with the
pool. A strategy is a rank, or for `balanced` a cost; there is no formula with weights to tune.
"""

from collections.abc import Container, Sequence
from random import Random
from typing import Final, Protocol, assert_never

from app.domain.account import AccountId
from app.domain.quota import MAIN_FAMILY
from app.domain.runtime import Strategy
from app.pool import latency, quota
from app.pool.orders import Lot, Order, Rank, Ranked, Ranking
from app.pool.state import AccountState

EVEN_WAIT_S: Final = 2.0
"""Below it waits are equal: they are the models' and the questions', not the accounts'. It is above
what is expected where nothing is known, or those that are known to be quick would get all calls and
nobody would ever know the others."""
TIGHT: Final = 0.25
"""With less than this left of its tightest window an account grows dear."""
LEFT_MIN: Final = 0.01


class Chooser(Protocol):
    """One strategy."""

    timed: bool
    """Ranks also fall when a quota window ends, so the order is to be told of it."""

    def order(self) -> Order:
        """Return a new order of the kind that `choose` wants; it is empty."""

    def choose(
        self, orders: Sequence[Order], hidden: Container[AccountId], family: str, now: float, /
    ) -> AccountState | None:
        """Return the account that takes the call, None if `hidden` has all of them.

        There is at least one order. `family` is the limit that the call is metered under.
        """


def chooser(strategy: Strategy, rng: Random) -> Chooser:
    """Return what chooses by that strategy."""
    match strategy:
        case Strategy.BALANCED:
            return CheaperOfTwo(rng)
        case Strategy.ROUND_ROBIN:
            return ByRank(idle_longest)
        case Strategy.LEAST_USED:
            return ByRank(least_used, timed=True)
        case Strategy.REMAINING_QUOTA:
            return ByRank(remaining_quota, timed=True)
        case Strategy.FILL_FIRST:
            return ByRank(fill_first)
        case _:
            assert_never(strategy)


class CheaperOfTwo(Chooser):
    """Two accounts are looked at, one in turn and one drawn at random, and the cheaper one wins.

    Nearly as good as looking at all of them, and equal accounts are taken in turn. An account that
    is idle and at its best is taken unseen by a second one: who has more places than it has no use
    for them yet.
    """

    timed = False

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._turn = 0

    def order(self) -> Order:
        """Return a lot."""
        return Lot(self._rng)

    def choose(
        self, orders: Sequence[Order], hidden: Container[AccountId], family: str, now: float, /
    ) -> AccountState | None:
        """Return the cheaper of two accounts, all orders drawn from as if they were one."""
        size = len(orders[0]) if len(orders) == 1 else sum(map(len, orders))
        if not size:
            return None
        self._turn += 1
        first = _drawn(orders, self._turn % size, hidden, now)
        if first is not None and not first.in_flight and _at_best(first, family, now):
            return first
        second = _drawn(orders, int(self._rng.random() * size), hidden, now)
        if first is None or second is None:
            return first or second or _any(orders, hidden, now)
        return first if first is second else _cheaper(first, second, family, now)


class ByRank(Chooser):
    """Each order has a best account; the lowest rank among them wins."""

    def __init__(self, rank: Ranked, *, timed: bool = False) -> None:
        self.timed = timed
        self._rank = rank

    def order(self) -> Order:
        """Return a ranking."""
        return Ranking(self._rank)

    def choose(
        self, orders: Sequence[Order], hidden: Container[AccountId], _family: str, now: float, /
    ) -> AccountState | None:
        """Return the best of the orders' best accounts."""
        if len(orders) == 1:
            return orders[0].candidate(0, hidden, now)
        candidates = (order.candidate(0, hidden, now) for order in orders)
        found = [state for state in candidates if state is not None]
        return min(found, key=lambda state: self._rank(state, now), default=None)


def cost(state: AccountState, family: str, *, now: float) -> float:
    """Return what a call to the account costs: the wait to expect, in seconds that are no clock's.

    Busy places, failures (which count as waits) and a window that is nearly used up make it dear.
    """
    left = quota.headroom(state, family=family, now=now)
    return wait_s(state, now=now) * (1.0 if left >= TIGHT else TIGHT / max(left, LEFT_MIN))


def wait_s(state: AccountState, *, now: float) -> float:
    """Return the wait to expect, grown with the share of the account's places that are taken."""
    expected_s = max(EVEN_WAIT_S, latency.expected_wait_s(state, now=now))
    return expected_s * (state.in_flight + 1) / (state.cap or 1)


def idle_longest(state: AccountState, _now: float) -> Rank:
    """Rank by when the account was last taken."""
    return (state.turn, state.ordinal)


def least_used(state: AccountState, now: float) -> Rank:
    """Rank by the tokens spent in the longest window, or ever if no window is known."""
    return (spent(state, now=now), state.in_flight, state.turn, state.ordinal)


def remaining_quota(state: AccountState, now: float) -> Rank:
    """Rank by what is left of the tightest window, to one percent.

    A call in flight will take a little too: one percent, so that calls spread out before the
    upstream speaks of them.
    """
    left = quota.headroom(state, family=MAIN_FAMILY, now=now)
    return (state.in_flight - round(100 * left), state.turn, state.ordinal)


def fill_first(state: AccountState, _now: float) -> Rank:
    """Rank by the operator's order."""
    return (state.ordinal,)


def spent(state: AccountState, *, now: float) -> int:
    """Return the tokens spent in the longest window that is known, or ever if none is."""
    windows = state.windows
    if not windows:
        return state.tokens
    longest = tokens = 0
    for (_, minutes), gauge in windows.items():
        if minutes > longest:
            longest = minutes
            tokens = 0
        if minutes == longest and (gauge.reset_at is None or quota.ends_at(gauge) > now):
            tokens += gauge.tokens
    return tokens


def _at_best(state: AccountState, family: str, now: float) -> bool:
    """Tell whether neither its wait nor its windows make an account dear."""
    return (
        latency.expected_wait_s(state, now=now) <= EVEN_WAIT_S
        and quota.headroom(state, family=family, now=now) >= TIGHT
    )


def _cheaper(first: AccountState, second: AccountState, family: str, now: float) -> AccountState:
    """Return the account of the lower `cost`, the first if there is none.

    Whoever has the shorter wait and is not tight is it, so the other's windows are seldom read.
    """
    if wait_s(second, now=now) < wait_s(first, now=now):
        quick, slow = second, first
    else:
        quick, slow = first, second
    if quota.headroom(quick, family=family, now=now) >= TIGHT:
        return quick
    return slow if cost(slow, family, now=now) < cost(quick, family, now=now) else quick


def _drawn(
    orders: Sequence[Order], place: int, hidden: Container[AccountId], now: float
) -> AccountState | None:
    """Return an account of the order in which the `place` is, if they are laid end to end."""
    if len(orders) == 1:
        return orders[0].candidate(place, hidden, now)
    for order in orders[:-1]:
        if place < len(order):
            return order.candidate(place, hidden, now)
        place -= len(order)
    return orders[-1].candidate(place, hidden, now)


def _any(orders: Sequence[Order], hidden: Container[AccountId], now: float) -> AccountState | None:
    candidates = (order.candidate(0, hidden, now) for order in orders if len(order))
    return next((state for state in candidates if state is not None), None)
