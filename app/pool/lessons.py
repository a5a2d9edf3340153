"""What a call teaches of its account: each part that can learn from it is told. Pure.

    it began      the wait to expect, a probe's success, room for more calls
    it ended      counters, tokens by window, crowding, failures as waits, health

Nothing is decided here but which part is told what; `app.pool.pool` files the account afterwards.
"""

from random import Random
from typing import Final

from app.domain.outcome import (
    Abandoned,
    Broken,
    Outcome,
    Overloaded,
    RateLimited,
    Succeeded,
    Unauthorized,
    Unreachable,
    Unsuited,
)
from app.pool import concurrency, health, latency, quota
from app.pool.state import AccountState

_FAILURES: Final = (RateLimited, Unauthorized, Overloaded, Broken, Unreachable, Unsuited)
_NOTHING: Final = Abandoned()


def begun(state: AccountState, number: int, first_event_s: float, *, now: float) -> None:
    """Learn that the upstream has taken the call of lease `number`; once for a lease."""
    latency.observe(state, first_event_s, now=now)
    health.began(state, number=number)
    concurrency.accepted(state)


def succeeded(
    state: AccountState, outcome: Succeeded, *, number: int, family: str, now: float, rng: Random
) -> None:
    """Learn that lease `number`, which is off `in_flight`, ended well.

    Its tokens were metered under the limit `family`.
    """
    state.successes += 1
    tokens = outcome.usage.total if outcome.usage is not None else 0
    state.tokens += tokens
    quota.spend(state, tokens, family=family, now=now)
    health.after(state, outcome, number=number, now=now, rng=rng)


def failed(
    state: AccountState, outcome: Outcome, *, generation: int, number: int, now: float, rng: Random
) -> None:
    """Learn that lease `number`, which is off `in_flight`, ended in any other way.

    `generation` is that of the credential which the call was made with: a refusal of one that has
    been replaced since says nothing about the new one.
    """
    match outcome:
        case RateLimited(burst=True) | Overloaded():
            concurrency.pressed(state, number=number)
        case Broken() | Unreachable():
            latency.penalise(state, now=now)
        case Unauthorized() if generation != state.account.credential.generation:
            outcome = _NOTHING
    if isinstance(outcome, _FAILURES):
        state.failures += 1
    health.after(state, outcome, number=number, now=now, rng=rng)
