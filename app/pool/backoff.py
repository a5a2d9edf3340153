"""How long to wait before the next try: exponential, bounded, with jitter."""

from random import Random


def delay_s(attempt: int, *, first_s: float, max_s: float, rng: Random) -> float:
    """Return the wait after `attempt` failures in a row (1 for the first), in seconds.

    Doubles from `first_s` up to `max_s`, then takes a random share between a half and the
    whole of it, so that a thousand waiters do not come back in the same instant.
    """
    ceiling = min(max_s, first_s * 2.0 ** min(attempt - 1, 32))
    return ceiling * (0.5 + 0.5 * rng.random())
