"""Tests of app.accounts.deadlines."""

from random import Random

import pytest
from msgspec import structs

from app.accounts.deadlines import (
    RenewalPolicy,
    queue_s,
    renewal_at,
    retry_at,
    risk_at,
    settled_at,
)

NOW = 1_800_000_000.0
DAY = 86400.0
POLICY = RenewalPolicy()


def many(expires_at, *, fresh, policy=POLICY):
    """Return the deadlines that two hundred accounts would get."""
    return [
        renewal_at(expires_at, fresh=fresh, now=NOW, policy=policy, rng=Random(seed))
        for seed in range(200)
    ]


def test_the_times_that_hold_unless_others_are_given():
    """Lead and age are the Codex CLI's; whoever changes a figure changes it here too."""
    assert structs.asdict(POLICY) == {
        "sweep_s": 3600,
        "sweep_retry_s": 30,
        "look_s": 60,
        "lead_s": 300,
        "share": 0.1,
        "unended_s": 8 * DAY,
        "spacing_s": 0.25,
        "exchange_s": 0.25,
        "apart_s": 30,
        "brief_s": 5,
        "retry_first_s": 2,
        "retry_max_s": 300,
        "retry_after_max_s": 3600,
        "unknown_first_s": 60,
        "unknown_max_s": 1800,
        "last_chance_s": 30,
    }


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
    assert set(many(NOW - 200, fresh=False)) == {NOW - 500}


@pytest.mark.parametrize("left_s", [5, 20, 40])
def test_a_very_short_lived_credential_is_renewed_within_its_life(left_s):
    """The distance between two renewals of an account gives way to that, down to a half."""
    found = many(NOW + left_s, fresh=True)
    assert NOW + left_s / 2 <= min(found) <= max(found) <= NOW + 0.9 * left_s


@pytest.mark.parametrize(("left_s", "apart_s"), [(40, 20), (60, 30), (100, 30)])
def test_two_renewals_are_apart_however_early_they_come(left_s, apart_s):
    """Half a minute, or half of a shorter life."""
    found = many(NOW + left_s, fresh=True, policy=RenewalPolicy(share=0.45))
    assert min(found) == NOW + apart_s
    assert max(found) <= NOW + 0.55 * left_s


@pytest.mark.parametrize("expires_at", [NOW - 5, NOW, NOW + 1, NOW + 4.9])
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


@pytest.mark.parametrize(
    ("retry_after_s", "wait_s"), [(120.0, 120.0), (3600.0, 3600.0), (1e9, 3600.0)]
)
def test_the_servers_wish_to_be_left_alone_is_honoured(retry_after_s, wait_s):
    """Up to an hour; the backoff counts where it is longer."""
    found = [
        retry_at(n, now=NOW, policy=POLICY, rng=Random(1), retry_after_s=retry_after_s)
        for n in (1, 3)
    ]
    assert found == [NOW + wait_s] * 2
    later = retry_at(40, now=NOW, policy=POLICY, rng=Random(1), retry_after_s=1.0)
    assert later >= NOW + 150


def test_nobody_waits_longer_than_asked():
    """A server that asks for nothing is tried again as soon as the backoff is over."""
    policy = RenewalPolicy(retry_first_s=0.5)
    assert NOW + 0.25 <= retry_at(1, now=NOW, policy=policy, rng=Random(1)) <= NOW + 0.5


def test_ten_thousand_first_renewals_take_an_hour_or_two():
    """One after the other, spaced; an operator is told beforehand."""
    assert 3600 <= queue_s(10_000, policy=POLICY) <= 7200
