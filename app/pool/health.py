"""How an account's health follows from what its calls showed. Pure.

    READY   --RateLimited-----------> COOLING --ready_at passes--> READY
    READY   --Unauthorized(alive)---> EXPIRED --credential renewed--> READY
    any     --Unauthorized(dead)----> BANNED  --operator or a new credential--> READY

Rule 1: every change of health happens in this file.
Rule 2: this file doesn't know what time it is; `now` is an argument (epoch seconds).
Rule 3: `after` is total: any outcome in any health has an answer, and a test feeds it all.
Rule 4: a rest only ever gets longer; a late success wakes nobody, and neither does a renewal.
Rule 5: what began before a rest makes it no longer: thirty streams cut at once are one event.
"""

from random import Random
from typing import Final, assert_never

from app.domain.outcome import (
    Abandoned,
    Broken,
    Misread,
    Outcome,
    Overloaded,
    RateLimited,
    Refused,
    Succeeded,
    Unauthorized,
    Unreachable,
    Unsuited,
)
from app.pool.backoff import delay_s
from app.pool.state import MODELS_MAX, AccountState, Health

REST_MIN_S: Final = 1.0
REST_MAX_S: Final = 7 * 86_400.0
REST_UNNAMED_S: Final = 300.0
"""A limit whose reset nobody named: short enough to notice a mistake, long enough not to hammer."""
UNSUITED_REST_S: Final = 1_800.0
BURST_FIRST_S: Final = 5.0
BURST_MAX_S: Final = 60.0
BREAKS_MAX: Final = 3
"""Breaks in a row after which the account rests: one broken stream says nothing."""


def after(state: AccountState, outcome: Outcome, *, now: float, rng: Random) -> None:
    """Change `state` to what it is once `outcome` is known.

    A limit rests the account (or one model) until the reset that the upstream named, plus
    jitter, so that a thousand accounts do not wake in the same second. `Abandoned`,
    `Refused` and `Overloaded` change nothing: they say nothing about the account.
    """
    match outcome:
        case Succeeded():
            state.strikes = 0
        case RateLimited():
            _rest_from_limit(state, outcome, now=now, rng=rng)
        case Unauthorized(dead=dead, reason=reason):
            if state.health is not Health.BANNED:
                state.health = Health.BANNED if dead else Health.EXPIRED
                state.reason = reason
        case Unsuited(model=model):
            _rest_model(state, model, now + UNSUITED_REST_S, now=now)
        case Broken(reason=reason):
            state.failures += 1
            if state.ready_at <= now:
                _rest_from_breaks(state, reason, now=now, rng=rng)
        case Abandoned() | Misread() | Overloaded() | Refused() | Unreachable():
            pass
        case _:
            assert_never(outcome)


def wake(state: AccountState, *, now: float) -> bool:
    """Make a rested account ready again; True if it was cooling and its time has come."""
    if state.health is Health.COOLING and state.ready_at <= now:
        state.health = Health.READY
        state.reason = ""
        return True
    return False


def renewed(state: AccountState, *, now: float) -> None:
    """Take an account back whose credential is new; a rest that it was in goes on."""
    if state.health in (Health.EXPIRED, Health.BANNED):
        resting = state.ready_at > now
        state.health = Health.COOLING if resting else Health.READY
        state.reason = "still resting" if resting else ""


def expired(state: AccountState, reason: str, *, dead: bool) -> None:
    """Take an account out whose credential no longer opens anything."""
    state.health = Health.BANNED if dead else Health.EXPIRED
    state.reason = reason


def reset(state: AccountState) -> None:
    """Forget every rest, as an operator may order."""
    if state.health is Health.COOLING:
        state.health = Health.READY
        state.reason = ""
    state.ready_at = 0.0
    state.strikes = 0
    state.model_ready_at.clear()


def serves(state: AccountState, model: str, *, now: float) -> bool:
    """Tell whether a ready account may take a call for `model` at `now`."""
    if state.account.models and model not in state.account.models:
        return False
    until = state.model_ready_at.get(model)
    if until is None:
        return True
    if until <= now:
        del state.model_ready_at[model]
        return True
    return False


def _rest_from_limit(state: AccountState, outcome: RateLimited, *, now: float, rng: Random) -> None:
    model = outcome.model
    rests_until = state.ready_at if model is None else state.model_ready_at.get(model, 0.0)
    if outcome.reset_at is not None:
        until = min(max(outcome.reset_at, now + REST_MIN_S), now + REST_MAX_S)
        until += rng.random() * min(5.0, 0.02 * (until - now))
    elif rests_until > now:
        return
    elif outcome.burst:
        state.strikes += 1
        until = now + delay_s(state.strikes, first_s=BURST_FIRST_S, max_s=BURST_MAX_S, rng=rng)
    else:
        until = now + REST_UNNAMED_S * (1.0 + 0.2 * rng.random())
    if model is None:
        _rest(state, until, "burst limit" if outcome.burst else "usage limit")
    else:
        _rest_model(state, model, until, now=now)


def _rest_from_breaks(state: AccountState, reason: str, *, now: float, rng: Random) -> None:
    state.strikes += 1
    if state.strikes >= BREAKS_MAX:
        turn = state.strikes - BREAKS_MAX + 1
        rest_s = delay_s(turn, first_s=BURST_FIRST_S, max_s=BURST_MAX_S, rng=rng)
        _rest(state, now + rest_s, reason)


def _rest(state: AccountState, until: float, reason: str) -> None:
    """Rest the account until then; one without a good credential rests unseen."""
    if until <= state.ready_at:
        return
    state.ready_at = until
    if state.health in (Health.READY, Health.COOLING):
        state.health = Health.COOLING
        state.reason = reason


def _rest_model(state: AccountState, model: str, until: float, *, now: float) -> None:
    resting = state.model_ready_at
    if model not in resting and len(resting) >= MODELS_MAX:
        for stale in [name for name, at in resting.items() if at <= now] or [next(iter(resting))]:
            del resting[stale]
    resting[model] = max(until, resting.get(model, 0.0))
