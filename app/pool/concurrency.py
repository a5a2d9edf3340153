"""How many calls an account is given at once: a window that finds its own size, as TCP's does.

    opened, bounded    the operator's bound is taken at its word
    restarted          1, after a rest; half of what it was becomes the threshold
    accepted           +1 up to the threshold (doubles a round), +1/window above it (+1 a round)
    pressed            half, once a round

A round is as many calls as the window holds. The window is never under 1 and never over the
account's `concurrency_max`. Whether an account may be leased at all is `app.pool.health`'s
matter; nothing here knows time.
"""

from typing import Final

from app.pool.state import AccountState, Health

THRESHOLD_MIN: Final = 2.0


def opened(state: AccountState) -> None:
    """Give a new account all that the operator allows: nothing speaks against it yet."""
    state.window = state.threshold = _bound(state)


def bounded(state: AccountState) -> None:
    """Follow a changed `concurrency_max`; call it for no other reason.

    A lower bound counts at once. What a higher one allows is found by slow start, as the
    operator knows of it more than past refusals do.
    """
    state.threshold = _bound(state)
    state.window = min(state.window, state.threshold)


def restarted(state: AccountState) -> None:
    """Begin anew with one call, as befits an account that comes back from a rest.

    A second restart before anything was accepted keeps the threshold (RFC 5681, 3.1), so that
    the length of an outage doesn't decide how slowly the account recovers from it.
    """
    if state.window > 1.0:
        state.threshold = max(THRESHOLD_MIN, state.window / 2)
    state.window = 1.0


def accepted(state: AccountState) -> None:
    """Grow, as the upstream has taken a call; tell `health.began` first.

    Only while at least half of the window is in use, as an idle one proves nothing. Half,
    because a round's calls are often all taken before the next ones are leased: with more, the
    window could not double a round.
    """
    bound = _bound(state)
    if state.health is not Health.READY or 2 * state.in_flight < state.cap:
        return
    step = 1.0 if state.window < state.threshold else 1.0 / state.window
    state.window = min(bound, state.window + step)


def pressed(state: AccountState, *, number: int) -> None:
    """Halve, as the upstream refused the lease `number` for a burst limit or an overload.

    Refusals of leases that were taken before the last halving belong to its round and change
    nothing: thirty refusals of one burst halve once.
    """
    if number <= state.pressed_turn:
        return
    state.pressed_turn = state.turn
    state.threshold = max(THRESHOLD_MIN, state.window / 2)
    state.window = max(1.0, state.window / 2)


def _bound(state: AccountState) -> float:
    return float(max(1, state.account.concurrency_max))
