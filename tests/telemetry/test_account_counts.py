"""What an account did is shown under its id, or under `other`, and never without bound."""

import pytest
from prometheus_client.metrics_core import Metric

from app.domain.outcome import Abandoned, Broken, RateLimited, Refused, Succeeded
from app.domain.usage import Usage
from app.telemetry.account_counts import ACCOUNTS_MAX, DAY_S, ERRORS_S, AccountCounts
from tests.fakes.accounts import account

REFUSED = Refused(400, None, None, "no")


class Moment:
    """A clock that stands still, epoch seconds."""

    def __init__(self, at: float = 1_800_000_000.0) -> None:
        self.at = at

    def advance(self, seconds: float) -> None:
        """Move on."""
        self.at += seconds


def counting(moment: Moment | None = None) -> AccountCounts:
    """Return counts at that moment."""
    moment = moment or Moment()
    return AccountCounts(now=lambda: moment.at)


def shown(counts: AccountCounts) -> dict[tuple[str, ...], float]:
    """Return the samples as (name, label values) to value."""
    return samples(list(counts.families()))


def samples(families: list[Metric]) -> dict[tuple[str, ...], float]:
    """Return the samples of some families, without their common prefix."""
    return {
        (sample.name.removeprefix("codex2api_"), *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


def test_attempts_and_tokens_are_counted_by_account():
    """Each outcome under its own name; tokens by kind and by day."""
    counts = counting()
    counts.attempt(account("a"), Succeeded(0.1, Usage(input=10, cached=4, output=5, reasoning=2)))
    counts.attempt(account("a"), Succeeded(0.1))
    counts.attempt(account("b"), RateLimited(None))
    seen = shown(counts)
    assert seen["account_requests_total", "a", "succeeded"] == 2
    assert seen["account_requests_total", "b", "ratelimited"] == 1
    kinds = ("input", "cached", "output", "reasoning")
    assert [seen["account_tokens_total", "a", kind] for kind in kinds] == [10, 4, 5, 2]
    assert seen["account_tokens_today", "a"] == 15
    assert seen["account_tokens_today", "b"] == 0


def test_the_tokens_of_today_begin_anew_at_midnight():
    """Even if nothing is spent then; the total goes on."""
    moment = Moment(at=DAY_S * 10 + 5)
    counts = counting(moment)
    counts.attempt(account("a"), Succeeded(0.1, Usage(input=10)))
    moment.advance(DAY_S)
    assert shown(counts)["account_tokens_today", "a"] == 0
    counts.attempt(account("a"), Succeeded(0.1, Usage(input=3)))
    counts.attempt(account("a"), Succeeded(0.1, Usage(input=1)))
    seen = shown(counts)
    assert seen["account_tokens_today", "a"] == 4
    assert seen["account_tokens_total", "a", "input"] == 14


@pytest.mark.parametrize(
    ("outcomes", "ratio"),
    [
        ([Succeeded(0.1)], 0.0),
        ([Succeeded(0.1), Broken("cut", sent=True), RateLimited(None), Succeeded(0.1)], 0.5),
        ([Broken("cut", sent=True), REFUSED, Abandoned()], 1.0),
    ],
)
def test_the_error_ratio_is_that_of_attempts_that_tell_good_from_bad(outcomes, ratio):
    """A request that is at fault itself, or was given up, says nothing of the account."""
    counts = counting()
    for outcome in outcomes:
        counts.attempt(account("a"), outcome)
    assert shown(counts)["account_error_ratio", "a"] == ratio


def test_there_is_no_error_ratio_without_attempts():
    """No sample says more than a good one."""
    counts = counting()
    counts.attempt(account("a"), REFUSED)
    assert ("account_error_ratio", "a") not in shown(counts)


def test_errors_are_forgotten_after_two_periods():
    """One period is looked back on, and nothing before it."""
    moment = Moment(at=ERRORS_S * 100.0)
    counts = counting(moment)
    counts.attempt(account("a"), Broken("cut", sent=True))
    moment.advance(ERRORS_S)
    counts.attempt(account("a"), Succeeded(0.1))
    assert shown(counts)["account_error_ratio", "a"] == 0.5
    moment.advance(ERRORS_S)
    assert shown(counts)["account_error_ratio", "a"] == 0.0
    moment.advance(ERRORS_S * 2)
    assert ("account_error_ratio", "a") not in shown(counts)


def test_accounts_past_the_bound_are_counted_together():
    """Whoever comes first is told apart."""
    counts = counting()
    for number in range(ACCOUNTS_MAX + 5):
        counts.attempt(account(f"a{number}"), Succeeded(0.1))
    seen = shown(counts)
    assert seen["account_requests_total", "other", "succeeded"] == 5
    assert len([key for key in seen if key[0] == "account_requests_total"]) == ACCOUNTS_MAX + 1
    assert (counts.label("a0"), counts.label("a204")) == ("a0", "other")


def test_an_account_that_is_gone_gives_its_place_away():
    """To the first that has none; its counts go with it, and those of `other` stay."""
    counts = counting()
    names = [f"a{number}" for number in range(ACCOUNTS_MAX + 2)]
    for name in names:
        counts.attempt(account(name), Succeeded(0.1))
    counts.keep(names[1:])
    counts.attempt(account(names[-2]), Succeeded(0.1))
    counts.attempt(account(names[-1]), Succeeded(0.1))
    seen = shown(counts)
    assert ("account_requests_total", "a0", "succeeded") not in seen
    assert seen["account_requests_total", names[-2], "succeeded"] == 1
    assert seen["account_requests_total", "other", "succeeded"] == 3


def test_workers_that_know_the_same_accounts_tell_the_same_apart():
    """Whichever were used first."""
    names = [f"a{number}" for number in range(ACCOUNTS_MAX + 10)]
    one, other = counting(), counting()
    one.keep(names)
    other.keep(names)
    other.attempt(account(names[-1]), Succeeded(0.1))
    assert [one.place(name) for name in names] == [other.place(name) for name in names]
    assert one.place(names[0]) == names[0]
    assert one.place(names[-1]) == "other"
    assert one.place("stranger") is None
