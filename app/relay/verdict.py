"""What an outcome means for the call: try again, or give up and say so. Pure.

The pool draws the account's conclusions, this file the call's. It is asked only before the
reply has begun: once content has gone out nothing is tried again.
"""

from random import Random
from typing import Final, assert_never

from msgspec import Struct

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
from app.errors import GatewayError, UpstreamError, UpstreamRefused, UpstreamTimeout
from app.pool.backoff import delay_s
from app.relay.budget import RetryBudget

OVERLOAD_FIRST_S: Final = 0.2
OVERLOAD_MAX_S: Final = 2.0
_CODES: Final = {413: "payload_too_large"}


class TryAnother(Struct, frozen=True):
    """Make the next attempt on an account that has not been tried."""


class TryAgain(Struct, frozen=True):
    """Make the next attempt after `after_s` seconds, on another account if one is free."""

    after_s: float


class Renew(Struct, frozen=True):
    """Renew the account's credential, then try that account once more."""


class Strip(Struct, frozen=True):
    """Leave the encrypted items out and try again, once."""


class GiveUp(Struct, frozen=True):
    """End the call with this error."""

    error: GatewayError


Verdict = TryAnother | TryAgain | Renew | Strip | GiveUp


def judge(
    outcome: Outcome,
    *,
    attempt: int,
    attempts_max: int,
    rng: Random,
    budget: RetryBudget | None = None,
    now: float = 0.0,
) -> Verdict:
    """Return what to do after attempt number `attempt` (from 1) showed `outcome`.

    `budget` pays for what is tried again though no account is out of the choice; `now` is its
    clock's time. Without one, such attempts are free.
    """
    match outcome:
        case _ if attempt >= attempts_max or isinstance(outcome, Refused):
            return GiveUp(last_word(outcome))
        case Misread():
            return Strip()
        case RateLimited() | Unauthorized() | Unsuited():
            renewable = isinstance(outcome, Unauthorized) and not outcome.dead
            return Renew() if renewable else TryAnother()
        case Overloaded() | Unreachable() | Broken():
            if budget is not None and not budget.spend(now):
                return GiveUp(last_word(outcome, retry_after_s=budget.empty_for_s(now)))
            return _once_more(outcome, attempt, rng)
        case Succeeded() | Abandoned():
            raise _no_failure(outcome)
        case _:
            assert_never(outcome)


def _once_more(
    outcome: Overloaded | Unreachable | Broken, attempt: int, rng: Random
) -> TryAnother | TryAgain:
    if isinstance(outcome, Broken):
        return TryAnother()
    return TryAgain(delay_s(attempt, first_s=OVERLOAD_FIRST_S, max_s=OVERLOAD_MAX_S, rng=rng))


def last_word(outcome: Outcome, *, retry_after_s: float = 0.0) -> GatewayError:
    """Return the error of a call that ends with `outcome`, as nothing is left to be tried.

    `retry_after_s` is the least that its caller is to stay away.
    """
    match outcome:
        case Refused() | Misread() | Unsuited():
            return _refusal(outcome)
        case RateLimited() | Overloaded() | Unauthorized() | Unreachable() | Broken():
            return _exhausted(outcome, max(1.0, retry_after_s))
        case Succeeded() | Abandoned():
            raise _no_failure(outcome)
        case _:
            assert_never(outcome)


def _refusal(outcome: Refused | Misread | Unsuited) -> GatewayError:
    match outcome:
        case Misread():
            words = "The encrypted content in the request could not be verified."
            return UpstreamRefused(words, status=outcome.status, code="invalid_encrypted_content")
        case Unsuited():
            return UpstreamRefused(outcome.reason, status=404, code="model_not_found")
    return UpstreamRefused(
        outcome.message,
        status=outcome.status,
        code=outcome.code or _CODES.get(outcome.status, "invalid_request"),
        type=outcome.type,
        param=outcome.param,
    )


def _exhausted(
    outcome: RateLimited | Overloaded | Unauthorized | Unreachable | Broken, retry_after_s: float
) -> GatewayError:
    match outcome:
        case RateLimited():
            status, words = 429, "Every account that was tried is at a limit."
        case Overloaded(reason=reason):
            status, words = 503, f"The upstream is overloaded: {reason}"
        case Broken(silent=True):
            words = "The upstream was silent for too long."
            return UpstreamTimeout(words, retry_after_s=retry_after_s)
        case _:
            status, words = 502, "Every attempt to reach the upstream failed."
    return UpstreamError(words, status=status, retry_after_s=retry_after_s)


def _no_failure(outcome: Outcome) -> AssertionError:
    return AssertionError(f"{type(outcome).__name__} ends no attempt before it has begun")
