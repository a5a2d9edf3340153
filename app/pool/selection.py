"""Which of the usable accounts takes the next call. Pure.

Two accounts are looked at, one in turn and one drawn at random, and the less busy one wins:
nearly as good as looking at all of them, at a cost that does not grow with the pool, and equal
accounts are taken in turn.
"""

from collections.abc import Callable, Sequence
from random import Random

from app.pool.state import AccountState

DRAWS_MAX = 8


def choose(
    ready: Sequence[AccountState],
    *,
    turn: int,
    fit: Callable[[AccountState], bool],
    rng: Random,
) -> AccountState | None:
    """Return an account of `ready` that is `fit` for the call, or None if there is none.

    `turn` counts the choices so far. A few draws nearly always find one; only a call that
    fits few accounts looks at all of them.
    """
    size = len(ready)
    if not size:
        return None
    first = ready[turn % size]
    second = ready[int(rng.random() * size)]
    if load(second) < load(first):
        first, second = second, first
    if fit(first):
        return first
    if fit(second):
        return second
    for _ in range(min(DRAWS_MAX, size)):
        drawn = ready[int(rng.random() * size)]
        if fit(drawn):
            return drawn
    return min((state for state in ready if fit(state)), key=load, default=None)


def load(state: AccountState) -> float:
    """Return how busy the account is: the share of its places that are taken."""
    return state.in_flight / state.account.concurrency_max
