"""When a credential is renewed, and when a renewal that failed is tried again. Pure.

A renewal comes early enough that no call ever waits for one, and with jitter, so that accounts
that were renewed together do not stay together. A failure that is known is tried again soon;
one whose outcome is unknown waits until there is as little as possible to lose.
"""

from random import Random

from msgspec import Struct

from app.pool.backoff import delay_s


class RenewalPolicy(Struct, frozen=True, kw_only=True):
    """The times of renewals, in seconds."""

    sweep_s: float = 3600.0
    """Between two readings of all accounts from the store; delays no renewal."""
    sweep_retry_s: float = 30.0
    """Until the next sweep after one that the store refused."""
    look_s: float = 60.0
    """Between two looks at the wall clock, which may be set or go on while the machine sleeps."""
    lead_s: float = 300.0
    """A renewal begins this long before the credential ends, as the Codex CLI's does."""
    share: float = 0.1
    """Of a lifetime: the most that the jitter takes, and the lead of a short-lived credential."""
    unended_s: float = 8 * 86400.0
    """A credential without a known end is renewed at about this age, as the Codex CLI does."""
    spacing_s: float = 0.25
    """Between two exchanges: families renewed in a burst have been revoked upstream."""
    exchange_s: float = 0.25
    """What one exchange takes, as far as it can be known beforehand."""
    apart_s: float = 30.0
    """Between two renewals of one account; half of its life where a credential lives shorter."""
    brief_s: float = 5.0
    """A credential that lives shorter is a fault of the server, and no reason to hurry."""
    retry_first_s: float = 2.0
    """After a first failure that is known to have spent nothing; doubles."""
    retry_max_s: float = 300.0
    """The longest such wait: long outages end without an operator."""
    retry_after_max_s: float = 3600.0
    """The longest wait that the authorization server may ask for."""
    unknown_first_s: float = 60.0
    """After an exchange without an answer: as long as a late one may still take effect."""
    unknown_max_s: float = 1800.0
    """The longest such wait."""
    last_chance_s: float = 30.0
    """Before its end a credential whose renewal is uncertain is risked: until then it serves."""


def renewal_at(
    expires_at: float | None, *, fresh: bool, now: float, policy: RenewalPolicy, rng: Random
) -> float:
    """Return when to renew a credential that ends at `expires_at` (epoch seconds).

    `fresh` says that it was issued just now, so that what is left is its whole lifetime; only
    then is it known to be short-lived, and its lead a share instead of the full one.
    """
    if expires_at is None:
        return now + policy.unended_s * (1.0 - 0.5 * rng.random())
    left_s = max(0.0, expires_at - now)
    share_s = policy.share * left_s
    lead_s = min(policy.lead_s, share_s) if fresh else policy.lead_s
    at = expires_at - lead_s - share_s * rng.random()
    if not fresh:
        return at
    apart_s = policy.apart_s if left_s < policy.brief_s else min(policy.apart_s, left_s / 2)
    return max(at, now + apart_s)


def retry_at(
    failures: int,
    *,
    now: float,
    policy: RenewalPolicy,
    rng: Random,
    retry_after_s: float | None = None,
) -> float:
    """Return when to try again after `failures` in a row that spent nothing.

    Not before `retry_after_s` is over, which the server asked for in the last one.
    """
    wait_s = delay_s(failures, first_s=policy.retry_first_s, max_s=policy.retry_max_s, rng=rng)
    return now + max(wait_s, min(retry_after_s or 0.0, policy.retry_after_max_s))


def queue_s(count: int, *, policy: RenewalPolicy) -> float:
    """Return about how long `count` accounts take that are renewed one after the other."""
    return count * (policy.spacing_s + policy.exchange_s)


def settled_at(unknowns: int, *, now: float, policy: RenewalPolicy) -> float:
    """Return until when the outcome of an unanswered exchange must be waited out.

    It doubles with each in a row and has no jitter, as less than the first wait is too early.
    """
    return now + min(policy.unknown_max_s, policy.unknown_first_s * 2.0 ** min(unknowns - 1, 32))


def risk_at(settled: float, expires_at: float | None, *, policy: RenewalPolicy) -> float:
    """Return when to risk a token that may be spent: not before `settled`.

    Using a spent token may revoke the access token as well, so while that one serves there is
    no hurry: the last moments of its life are the best ones to find out.
    """
    return settled if expires_at is None else max(settled, expires_at - policy.last_chance_s)
