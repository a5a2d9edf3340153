"""How an account's health follows from what its calls showed. Pure.

    READY    --a limit, breaks, a full quota--> COOLING --the rest is over--> PROBING
    PROBING  --the upstream takes a call------> READY
    PROBING  --the probe fails----------------> COOLING, for longer
    any      --Unauthorized(alive)------------> EXPIRED --credential renewed--> READY or COOLING
    any      --Unauthorized(dead)-------------> BANNED  --operator or a new credential--> READY

Rule 1: every change of health happens in this file.
Rule 2: this file doesn't know what time it is; `now` is an argument (epoch seconds).
Rule 3: `after` is total: any outcome in any health has an answer, and a test feeds it all.
Rule 4: `ready_at` only ever grows. Nothing wakes an account that still rests: no success and no
        new credential. `paused_until` is the quota's; health follows the later of the two.
Rule 5: a lease that was taken before a rest is late. Its success ends no rest and no probing;
        its failure begins no rest and makes none longer, as thirty streams cut at once are one
        event. Only a reset that the upstream names is believed from a late lease too.
Rule 6: what says nothing about the account changes nothing: its probing goes on with the next
        call.
"""

from random import Random
from typing import Final, assert_never

from app.domain.account import Credential
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
from app.pool import concurrency
from app.pool.backoff import delay_s
from app.pool.state import MODELS_MAX, AccountState, Health

REST_MIN_S: Final = 1.0
REST_MAX_S: Final = 31 * 86_400.0
"""The longest window that quotas are known to have is a month; what is beyond is a mistake."""
JITTER_MAX_S: Final = 2.0
"""After a named reset, so that traffic is back within 5 seconds of it and yet not all at once."""
REST_UNNAMED_S: Final = 300.0
"""A limit whose reset nobody named: short enough to notice a mistake, long enough not to hammer."""
REST_UNNAMED_MAX_S: Final = 3_600.0
UNSUITED_REST_S: Final = 1_800.0
BURST_FIRST_S: Final = 5.0
BURST_MAX_S: Final = 60.0
BREAKS_MAX: Final = 3
"""Breaks in a row after which the account rests: one broken stream says nothing."""


def after(state: AccountState, outcome: Outcome, *, number: int, now: float, rng: Random) -> None:
    """Change `state` to what it is once lease `number` has ended with `outcome`.

    Call it once for every lease, when the lease is off `in_flight`. A limit rests the account
    (or one model) until the reset that the upstream named, plus jitter, so that a thousand
    accounts do not wake in the same second.
    """
    is_late = late(state, number)
    if is_late:
        state.stale = max(0, state.stale - 1)
    match outcome:
        case Succeeded():
            if not is_late:
                state.strikes = state.breaks = 0
                began(state, number=number)
        case RateLimited():
            _rest_from_limit(state, outcome, is_late=is_late, now=now, rng=rng)
        case Unauthorized(dead=dead, reason=reason):
            expired(state, reason, dead=dead)
        case Unsuited(model=model):
            _rest_model(state, model, now + UNSUITED_REST_S, now=now)
        case Broken(reason=reason):
            if not is_late and state.rests_until <= now:
                _rest_from_break(state, reason, now=now, rng=rng)
        case Abandoned() | Misread() | Overloaded() | Refused() | Unreachable():
            pass
        case _:
            assert_never(outcome)


def late(state: AccountState, number: int) -> bool:
    """Tell whether lease `number` was taken before the account's last rest."""
    return number <= state.rested_turn


def began(state: AccountState, *, number: int) -> None:
    """Note that the upstream has taken the call of lease `number`: a probe has succeeded."""
    if state.health is Health.PROBING and not late(state, number):
        state.health = Health.READY
        state.reason = ""


def wake(state: AccountState, *, now: float) -> bool:
    """Let a rested account be probed; True if it was cooling and its time has come.

    Calls that are in flight since before the rest are no probes and take no probe's place.
    """
    if state.health is not Health.COOLING or state.rests_until > now:
        return False
    state.health = Health.PROBING
    state.reason = "on trial after a rest"
    state.stale = state.in_flight
    concurrency.restarted(state)
    return True


def settle_rest(state: AccountState, *, now: float) -> bool:
    """Make the health follow a `paused_until` that changed; True if the health changed.

    An account that was resting before may have another end of its rest in either case.
    """
    if state.health in (Health.READY, Health.PROBING) and state.rests_until > now:
        _cool(state, "quota used up")
        return True
    return wake(state, now=now)


def renewed(state: AccountState, *, now: float) -> None:
    """Take an account back whose credential is new; a rest that it was in goes on.

    After a rest that ended meanwhile it starts as slowly as after any other.
    """
    state.renewing = False
    if state.health not in (Health.EXPIRED, Health.BANNED):
        return
    if state.rests_until > now:
        _cool(state, "still resting")
        return
    state.health = Health.READY
    state.reason = ""
    if state.turn == state.rested_turn:
        concurrency.restarted(state)


def heard(state: AccountState, told: Credential, *, before: Credential, now: float) -> None:
    """Follow what the store says of the credential, which was `before`."""
    if told.generation > before.generation or (before.refused and not told.refused):
        renewed(state, now=now)
    if told.refused is not None:
        expired(state, told.refused, dead=True)
    ended = told.expires_at is not None and told.expires_at <= now
    if ended and state.health in (Health.READY, Health.PROBING):
        expired(state, "access token expired", dead=False)


def expired(state: AccountState, reason: str, *, dead: bool) -> None:
    """Take an account out whose credential no longer opens anything; who is banned stays so."""
    if state.health is not Health.BANNED:
        state.health = Health.BANNED if dead else Health.EXPIRED
        state.reason = reason
        state.renewing = not dead and state.account.credential.renewable


def reset(state: AccountState) -> None:
    """Forget every rest, as an operator may order; the account starts slowly all the same.

    A ban that only this process knows of is lifted; one that the store holds is lifted there.
    The quota windows stay: what is heard of them next may pause the account again.
    """
    banned_here = state.health is Health.BANNED and state.account.credential.refused is None
    if state.health in (Health.COOLING, Health.PROBING) or banned_here:
        state.health = Health.READY
        state.reason = ""
        concurrency.restarted(state)
    state.ready_at = state.paused_until = 0.0
    state.strikes = state.breaks = 0
    state.model_ready_at.clear()


def told(state: AccountState, until: float, reason: str, *, model: str | None, now: float) -> None:
    """Rest the account, or one model of it, until a limit ends that another process met.

    Nothing happens if it rests that long anyway, or if the end has passed.
    """
    until = min(until, now + REST_MAX_S)
    known = state.ready_at if model is None else state.model_ready_at.get(model, 0.0)
    if until <= max(now, known):
        return
    if model is None:
        _rest(state, until, reason)
    else:
        _rest_model(state, model, until, now=now)


def serves(state: AccountState, model: str, *, now: float) -> bool:
    """Tell whether `model` does not rest on this account at `now`; forgets a rest that is over."""
    until = state.model_ready_at.get(model)
    if until is None:
        return True
    if until <= now:
        del state.model_ready_at[model]
        return True
    return False


def _rest_from_limit(
    state: AccountState, outcome: RateLimited, *, is_late: bool, now: float, rng: Random
) -> None:
    model = outcome.model
    if outcome.reset_at is not None:
        failures = 0
        if state.health is Health.PROBING and model is None and not is_late:
            state.strikes += 1
            failures = state.strikes
        until = _named_at(outcome.reset_at, failures, now=now, rng=rng)
    elif is_late or _rests_until(state, model) > now:
        return
    else:
        state.strikes += 1
        until = now + _unnamed_s(state.strikes, burst=outcome.burst, rng=rng)
    if model is None:
        _rest(state, until, "burst limit" if outcome.burst else "usage limit")
    else:
        _rest_model(state, model, until, now=now)


def _named_at(reset_at: float, failures: int, *, now: float, rng: Random) -> float:
    """Return the end of a rest until `reset_at`, after so many failed probes.

    Probes that are answered with a reset in the past must not follow one another each second,
    so the least rest doubles with them. Jitter only adds: nobody comes before the reset. What
    is no number is below every bound, so the order of the arguments counts.
    """
    least_s = min(BURST_MAX_S, REST_MIN_S * 2.0 ** min(failures, 32))
    until = min(now + REST_MAX_S, max(now + least_s, reset_at))
    return until + rng.random() * min(JITTER_MAX_S, 0.02 * (until - now))


def _unnamed_s(strikes: int, *, burst: bool, rng: Random) -> float:
    if burst:
        return delay_s(strikes, first_s=BURST_FIRST_S, max_s=BURST_MAX_S, rng=rng)
    rest_s = min(REST_UNNAMED_MAX_S, REST_UNNAMED_S * 2.0 ** min(strikes - 1, 32))
    return rest_s * (1.0 + 0.2 * rng.random())


def _rest_from_break(state: AccountState, reason: str, *, now: float, rng: Random) -> None:
    state.breaks += 1
    if state.breaks >= BREAKS_MAX or state.health is Health.PROBING:
        state.strikes += 1
        rest_s = delay_s(state.strikes, first_s=BURST_FIRST_S, max_s=BURST_MAX_S, rng=rng)
        _rest(state, now + rest_s, reason)


def _rests_until(state: AccountState, model: str | None) -> float:
    return state.rests_until if model is None else state.model_ready_at.get(model, 0.0)


def _rest(state: AccountState, until: float, reason: str) -> None:
    """Rest the account until then; one without a good credential rests unseen.

    The rest of one that is in use is over, even if its end lies ahead because the clock was set
    back: only a rest that goes on is never made shorter.
    """
    over = state.health in (Health.READY, Health.PROBING)
    if until <= state.ready_at and not over:
        return
    state.ready_at = until
    if state.health in (Health.EXPIRED, Health.BANNED):
        state.rested_turn = state.turn
    else:
        _cool(state, reason)


def _cool(state: AccountState, reason: str) -> None:
    state.health = Health.COOLING
    state.reason = reason
    state.rested_turn = state.turn


def _rest_model(state: AccountState, model: str, until: float, *, now: float) -> None:
    resting = state.model_ready_at
    if model not in resting and len(resting) >= MODELS_MAX:
        for stale in [name for name, at in resting.items() if at <= now] or [next(iter(resting))]:
            del resting[stale]
    resting[model] = max(until, resting.get(model, 0.0))
