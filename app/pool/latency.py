"""The wait to expect of an account: a peak that decays to an average. Pure.

A slow reply counts at once and in full, a fast one only as time goes by (Finagle's peak EWMA),
so that an account which has just become slow is left alone before it has spoilt an average. A
failure is a very long wait, hence one number compares a failing account with a slow one. How
many calls are in flight is no part of it: the strategy puts the two together.
"""

from typing import Final

from app.pool.state import AccountState

PRIOR_S: Final = 1.0
"""What is expected where nothing is known."""
WAIT_MIN_S: Final = 0.01
"""Below it waits are equal, and none is ever 0: costs are products."""
FAILURE_WAIT_S: Final = 30.0
"""What a failure counts as; no wait counts for more."""
PEAK_HALF_LIFE_S: Final = 10.0
"""A single slow reply or failure is all but forgotten within a minute."""
MEAN_HALF_LIFE_S: Final = 600.0
"""An account that is slow by habit is left alone for longer, yet not for ever."""
MEAN_WEIGHT: Final = 0.125
"""What a new wait weighs in the average (RFC 6298 smooths round-trip times with it)."""


def observe(state: AccountState, wait_s: float, *, now: float) -> None:
    """Take in how long a call waited for its first content, in seconds."""
    wait_s = min(FAILURE_WAIT_S, max(WAIT_MIN_S, wait_s))
    mean_s, above_s = _known(state, now)
    peak_s = mean_s + above_s if state.wait_s else 0.0
    if not state.wait_mean_s:
        mean_s = wait_s
    state.wait_mean_s = mean_s + MEAN_WEIGHT * (wait_s - mean_s)
    state.wait_s = max(wait_s, peak_s)
    state.wait_at = now


def penalise(state: AccountState, *, now: float) -> None:
    """Count a failure as a very long wait.

    As a peak and not in the average: the next call may well fail too, but nobody has seen that
    the account is slow.
    """
    mean_s, _ = _known(state, now)
    if state.wait_mean_s:
        state.wait_mean_s = mean_s
    state.wait_s = FAILURE_WAIT_S
    state.wait_at = now


def expected_wait_s(state: AccountState, *, now: float) -> float:
    """Return how long the next call would wait for its first content, in seconds; never 0."""
    mean_s, above_s = _known(state, now)
    return mean_s + above_s


def _known(state: AccountState, now: float) -> tuple[float, float]:
    """Return the average and how far the peak is above it, as they are by now."""
    age_s = max(0.0, now - state.wait_at)
    mean_s = state.wait_mean_s or PRIOR_S
    above_s = max(0.0, state.wait_s - mean_s)
    mean_s = PRIOR_S + (mean_s - PRIOR_S) * 0.5 ** (age_s / MEAN_HALF_LIFE_S)
    return mean_s, above_s * 0.5 ** (age_s / PEAK_HALF_LIFE_S)
