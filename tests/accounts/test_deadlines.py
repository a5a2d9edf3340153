"""Tests of app.accounts.deadlines."""

from random import Random

import pytest

from app.accounts.deadlines import RenewalPolicy, renewal_at, retry_at, risk_at, settled_at

NOW = 1_800_000_000.0
DAY = 86400.0
POLICY = RenewalPolicy()


def many(expires_at, *, fresh):
    """Return the deadlines that two hundred accounts would get."""
    return [
        renewal_at(expires_at, fresh=fresh, now=NOW, policy=POLICY, rng=Random(seed))
        for seed in range(200)
    ]


@pytest.mark.parametrize("fresh", [True, False])
def test_a_long_lived_credential_is_renewed_five_minutes_early_or_sooner(fresh):
    """The lead is whole and the jitter takes a tenth of what is left at most."""
    found = many(NOW + 10 * DAY, fresh=fresh)
    assert max(found) <= NOW + 10 * DAY - 300
    assert min(found) >= NOW + 9 * DAY - 300
    assert max(found) - min(found) > DAY / 2


def test_a_short_lived_credential_keeps_most_of_its_life():
    """Where five minutes would be half of the life, a tenth of it is the lead."""
    found = many(NOW + 600, fresh=True)
    assert NOW + 480 <= min(found) <= max(found) <= NOW + 540


def test_a_credential_that_was_found_near_its_end_is_due_at_once():
    """Nothing is known of its lifetime, so the full lead counts."""
    assert max(many(NOW + 200, fresh=False)) <= NOW
    assert max(many(NOW - 200, fresh=False)) <= NOW


@pytest.mark.parametrize("expires_at", [NOW - 5, NOW, NOW + 1])
def test_a_credential_that_is_born_dead_does_not_renew_in_a_loop(expires_at):
    """Two renewals of an account are apart, whatever the server says."""
    assert set(many(expires_at, fresh=True)) == {NOW + POLICY.apart_s}


def test_a_credential_without_an_end_is_renewed_by_its_age():
    """Between half of eight days and the whole."""
    found = many(None, fresh=False)
    assert NOW + 4 * DAY <= min(found) <= max(found) <= NOW + 8 * DAY


def test_known_failures_back_off_up_to_a_bound():
    """Doubling from two seconds to five minutes, jitter included."""
    waits = [retry_at(n, now=NOW, policy=POLICY, rng=Random(1)) - NOW for n in range(1, 40)]
    assert 1 <= waits[0] <= 2
    assert 150 <= waits[-1] <= 300


@pytest.mark.parametrize(
    ("unknowns", "wait_s"), [(1, 60), (2, 120), (5, 960), (6, 1800), (99, 1800)]
)
def test_unknown_outcomes_are_waited_out_longer_each_time(unknowns, wait_s):
    """Doubling from a minute to half an hour."""
    assert settled_at(unknowns, now=NOW, policy=POLICY) == NOW + wait_s


@pytest.mark.parametrize(
    ("expires_at", "risked_at"),
    [
        (None, NOW + 60),
        (NOW + 10, NOW + 60),
        (NOW + 300, NOW + 270),
    ],
)
def test_a_token_that_may_be_spent_is_risked_when_least_can_be_lost(expires_at, risked_at):
    """Just before the access token ends, and never before the outcome has settled."""
    assert risk_at(NOW + 60, expires_at, policy=POLICY) == risked_at
