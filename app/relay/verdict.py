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

OVERLOAD_FIRST_S: Final = 0.2
OVERLOAD_MAX_S: Final = 2.0


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


def judge(outcome: Outcome, *, attempt: int, attempts_max: int, rng: Random) -> Verdict:  # noqa: PLR0911 - one arm an outcome
    """Return what to do after attempt number `attempt` (from 1) showed `outcome`."""
    last = attempt >= attempts_max
    match outcome:
        case Refused():
            return GiveUp(_refusal(outcome))
        case Misread():
            return Strip()
        case Unauthorized(dead=False) if not last:
            return Renew()
        case Overloaded() | Unreachable() if not last:
            wait = delay_s(attempt, first_s=OVERLOAD_FIRST_S, max_s=OVERLOAD_MAX_S, rng=rng)
            return TryAgain(wait)
        case RateLimited() | Unauthorized() | Unsuited() | Broken() if not last:
            return TryAnother()
        case Unsuited(reason=reason):
            return GiveUp(UpstreamRefused(reason, status=404, code="model_not_found"))
        case Broken(silent=True):
            return GiveUp(UpstreamTimeout("The upstream was silent for too long."))
        case RateLimited():
            return GiveUp(_exhausted("Every account that was tried is at a limit.", status=429))
        case Overloaded(reason=reason):
            return GiveUp(_exhausted(f"The upstream is overloaded: {reason}", status=503))
        case Unauthorized() | Unreachable() | Broken():
            return GiveUp(_exhausted("Every attempt to reach the upstream failed.", status=502))
        case Succeeded() | Abandoned():
            raise AssertionError(f"{type(outcome).__name__} ends no attempt before it has begun")
        case _:
            assert_never(outcome)


def last_word(outcome: Outcome, *, rng: Random) -> GatewayError:
    """Return the error of a call that ends with `outcome` because no account is left for it."""
    if isinstance(outcome, Misread):
        return UpstreamRefused(
            "The encrypted content in the request could not be verified.",
            status=outcome.status,
            code="invalid_encrypted_content",
        )
    verdict = judge(outcome, attempt=1, attempts_max=1, rng=rng)
    assert isinstance(verdict, GiveUp), outcome  # noqa: S101 - nothing else is left
    return verdict.error


def _refusal(outcome: Refused) -> GatewayError:
    return UpstreamRefused(
        outcome.message,
        status=outcome.status,
        code=outcome.code or "invalid_request",
        type=outcome.type,
        param=outcome.param,
    )


def _exhausted(message: str, *, status: int) -> GatewayError:
    return UpstreamError(message, status=status, retry_after_s=1.0)
