"""Tests of app.admin.rates."""

from app.admin.rates import ERRORS_S, MINUTE_S, Rates
from app.domain.account import AccountId
from app.domain.outcome import Abandoned, Succeeded, Unauthorized

ONE, TWO = AccountId("one"), AccountId("two")
GOOD, BAD, LEFT = Succeeded(first_event_s=0.1), Unauthorized(dead=False, reason=""), Abandoned()


def test_a_minute_slides():
    """What ended a minute ago counts less and less."""
    rates = Rates()
    for second in range(30):
        rates.attempt(ONE, GOOD, now=600.0 + second)
    assert rates.a_minute(ONE, now=630.0) == 30
    assert rates.a_minute(ONE, now=600.0 + 1.5 * MINUTE_S) == 15
    assert rates.a_minute(ONE, now=600.0 + 3 * MINUTE_S) == 0
    assert rates.a_minute(TWO, now=630.0) == 0


def test_the_share_of_errors_leaves_out_what_judges_nothing():
    """A caller that leaves says nothing of an account."""
    rates = Rates()
    assert rates.errors(ONE, now=600.0) is None
    for outcome in (GOOD, GOOD, GOOD, BAD, LEFT):
        rates.attempt(ONE, outcome, now=600.0)
    assert rates.errors(ONE, now=600.0) == 0.25
    assert rates.errors(ONE, now=600.0 + ERRORS_S) == 0.25
    assert rates.errors(ONE, now=600.0 + 2 * ERRORS_S) is None


def test_all_accounts_are_counted_together():
    """Also those that are forgotten."""
    rates = Rates()
    rates.attempt(ONE, GOOD, now=600.0)
    rates.attempt(TWO, BAD, now=600.0)
    rates.forget(TWO)
    assert (rates.a_minute(now=600.0), rates.errors(now=600.0)) == (2, 0.5)
    assert rates.errors(TWO, now=600.0) is None
