"""Which account is due for a question, and when: never too often, and after a rest in time."""

from random import Random

import pytest

from app.accounts.probe_agenda import (
    BOUNDARY_S,
    FIRST_SPREAD_S,
    INTERVAL_S,
    JITTER,
    RECHECK_S,
    REST_MIN_S,
    RETRY_FIRST_S,
    RETRY_MAX_S,
    RETRY_NAMED_MAX_S,
    SHARE_S,
    ProbeAgenda,
)
from app.domain.account import Credential, Secret
from app.pool.state import AccountState, Health
from tests.fakes.accounts import account

NOW = 1_800_000_000.0


@pytest.fixture
def agenda():
    """An agenda without anybody."""
    return ProbeAgenda(rng=Random(7))


def state(name="a", **changes):
    """Return an account that was heard of just now, unless told else."""
    fields = {"heard_at": NOW} | changes
    return AccountState(account(name), **fields)


def entered(agenda, *states, now=NOW):
    """Take accounts in; return the moment at which the first of them is due."""
    agenda.enter(states, now=now)
    return agenda.next_due_at()


def popped(agenda, *, now):
    """Return the ids of all that are given out at that moment."""
    found = []
    while (entry := agenda.pop_due(now=now)) is not None:
        found.append(entry.id)
    return found


def test_an_empty_agenda_has_nothing_due(agenda):
    """Neither now nor later."""
    assert agenda.next_due_at() is None
    assert agenda.pop_due(now=NOW) is None
    assert len(agenda) == agenda.out == 0


def test_new_accounts_are_due_soon_and_one_after_another(agenda):
    """A few of them within seconds."""
    entered(agenda, *(state(f"a{number}", heard_at=0.0) for number in range(8)))
    assert agenda.pop_due(now=NOW) is None
    assert len(popped(agenda, now=NOW + FIRST_SPREAD_S / 2)) < 8
    assert len(agenda) == 8
    popped(agenda, now=NOW + FIRST_SPREAD_S)
    assert agenda.out == 8


def test_ten_thousand_new_accounts_are_no_storm(agenda):
    """In no minute more are due than can be asked."""
    entered(agenda, *(state(f"a{number}", heard_at=0.0) for number in range(10_000)))
    per_minute = [len(popped(agenda, now=NOW + 60 * minute)) for minute in range(1, 43)]
    assert sum(per_minute) == 10_000
    assert max(per_minute) < 60 * 5


def test_an_account_that_was_heard_of_is_due_after_an_interval(agenda):
    """More or less; it is not due again while it is given out."""
    due_at = entered(agenda, state())
    assert INTERVAL_S * (1 - JITTER) <= due_at - NOW <= INTERVAL_S * (1 + JITTER)
    assert agenda.pop_due(now=due_at - 0.001) is None
    assert popped(agenda, now=due_at) == ["a"]
    assert agenda.next_due_at() is None
    assert agenda.out == 1


def test_an_answer_counts_as_news(agenda):
    """The next question is an interval later."""
    known = state()
    due_at = entered(agenda, known)
    entry = agenda.pop_due(now=due_at)
    known.heard_at = due_at
    agenda.answered(entry, now=due_at)
    assert agenda.out == 0
    assert agenda.next_due_at() >= due_at + INTERVAL_S * (1 - JITTER)


def test_traffic_puts_the_question_off(agenda):
    """Nobody asks for what is told anyway; the interval counts from the last news."""
    known = state()
    due_at = entered(agenda, known)
    known.heard_at = due_at - 60
    assert agenda.pop_due(now=due_at) is None
    again_at = agenda.next_due_at()
    assert again_at >= known.heard_at + INTERVAL_S * (1 - JITTER)
    assert popped(agenda, now=again_at) == ["a"]


def test_news_of_long_ago_put_it_off_for_a_moment_only(agenda):
    """Where the agenda comes late to a due account."""
    known = state()
    due_at = entered(agenda, known)
    known.heard_at = NOW + 1
    late = due_at + 10 * INTERVAL_S
    assert agenda.pop_due(now=late) is None
    assert late < agenda.next_due_at() < late + 1


@pytest.mark.parametrize("rest", ["paused_until", "ready_at"])
def test_an_account_is_asked_shortly_after_its_rest(agenda, rest):
    """Though it was heard of during the rest."""
    known = state()
    entered(agenda, known)
    ends_at = NOW + 120
    setattr(known, rest, ends_at)
    known.heard_at = NOW + 100
    assert agenda.look(known, now=NOW + 5)
    due_at = agenda.next_due_at()
    assert ends_at + BOUNDARY_S <= due_at <= ends_at + BOUNDARY_S + 1
    assert popped(agenda, now=due_at) == ["a"]


def test_an_account_that_rests_when_it_comes_is_asked_after_its_rest(agenda):
    """As after a restart."""
    due_at = entered(agenda, state(paused_until=NOW + 60))
    assert due_at <= NOW + 60 + BOUNDARY_S + 1


def test_traffic_after_the_rest_makes_the_question_needless(agenda):
    """It has told how things stand."""
    known = state(paused_until=NOW + 60)
    due_at = entered(agenda, known)
    known.heard_at = NOW + 60.5
    assert agenda.pop_due(now=due_at) is None


def test_a_long_rest_is_asked_about_in_between(agenda):
    """A limit may be lifted early."""
    due_at = entered(agenda, state(paused_until=NOW + 100_000))
    assert due_at <= NOW + INTERVAL_S * (1 + JITTER)


def test_a_rest_that_grows_moves_the_question(agenda):
    """And the one about its former end is not asked."""
    known = state(paused_until=NOW + 60)
    first = entered(agenda, known)
    known.paused_until = NOW + 300
    agenda.look(known, now=NOW + 10)
    assert agenda.next_due_at() > first
    agenda.look(known, now=NOW + 20)
    assert NOW + 302 <= agenda.next_due_at() <= NOW + 303


def test_a_short_rest_after_a_fault_is_none_for_quota(agenda):
    """It is over before an answer could matter."""
    known = state(ready_at=NOW + REST_MIN_S - 1)
    assert entered(agenda, known) > NOW + INTERVAL_S * (1 - JITTER)


@pytest.mark.parametrize(
    "changes",
    [
        {"health": Health.EXPIRED},
        {"health": Health.BANNED},
        {"account": account(credential=Credential(Secret("at"), expires_at=NOW))},
    ],
)
def test_an_account_whose_credential_opens_nothing_is_not_asked(agenda, changes):
    """It is looked at again a little later, and asked once it has a better one."""
    known = AccountState(**({"account": account()} | changes))
    due_at = entered(agenda, known)
    assert agenda.pop_due(now=due_at) is None
    again_at = agenda.next_due_at()
    assert RECHECK_S * (1 - JITTER) <= again_at - due_at <= RECHECK_S * (1 + JITTER)
    agenda.look(AccountState(account()), now=due_at)
    assert popped(agenda, now=again_at) == ["a"]


def test_a_credential_that_has_not_ended_yet_opens_something(agenda):
    """Until it has."""
    credential = Credential(Secret("at"), expires_at=NOW + 3600)
    due_at = entered(agenda, AccountState(account(credential=credential)))
    assert popped(agenda, now=due_at) == ["a"]


def test_failures_are_followed_by_longer_and_longer_waits(agenda):
    """An answer ends it."""
    known = AccountState(account())
    now = entered(agenda, known)
    waits = []
    for _ in range(12):
        entry = agenda.pop_due(now=now)
        agenda.failed(entry, retry_after_s=None, now=now)
        waits.append(agenda.next_due_at() - now)
        agenda.look(known, now=now)
        assert agenda.next_due_at() - now == waits[-1]
        now = agenda.next_due_at()
    assert waits[0] <= RETRY_FIRST_S
    assert RETRY_MAX_S / 2 <= waits[-1] <= RETRY_MAX_S
    entry = agenda.pop_due(now=now)
    known.heard_at = now
    agenda.answered(entry, now=now)
    assert agenda.next_due_at() - now <= INTERVAL_S * (1 + JITTER)


@pytest.mark.parametrize(
    ("named_s", "wait_s"), [(5_000.0, 5_000.0), (1e12, RETRY_NAMED_MAX_S), (0.0, RETRY_FIRST_S)]
)
def test_a_wait_that_the_upstream_names_is_kept(agenda, named_s, wait_s):
    """If it is the longer one, and up to a day."""
    now = entered(agenda, AccountState(account()))
    agenda.failed(agenda.pop_due(now=now), retry_after_s=named_s, now=now)
    assert wait_s / 2 <= agenda.next_due_at() - now <= wait_s


def test_with_many_accounts_each_is_due_less_often(agenda):
    """Also where all of them fail."""
    states = [state(f"a{number}") for number in range(8_000)]
    due_at = entered(agenda, *states)
    assert due_at >= NOW + 8_000 * SHARE_S * (1 - JITTER)
    entry = agenda.pop_due(now=due_at)
    agenda.failed(entry, retry_after_s=None, now=due_at)
    assert entry.due_at >= due_at + 8_000 * SHARE_S


def test_an_account_is_forgotten_with_its_deadline(agenda):
    """Also while it is given out."""
    due_at = entered(agenda, state("a"), state("b"))
    entry = agenda.pop_due(now=due_at)
    agenda.keep(set())
    agenda.answered(entry, now=due_at)
    assert agenda.next_due_at() is None
    assert not agenda.look(state(entry.id), now=due_at)
    assert len(agenda) == agenda.out == 0


def test_what_nobody_asks_for_any_more_is_taken_back(agenda):
    """It is due an interval after it was given out; what is gone meanwhile stays away."""
    due_at = entered(agenda, state("a"), state("b"))
    popped(agenda, now=due_at + INTERVAL_S)
    agenda.keep({"a"})
    agenda.recall(now=due_at + INTERVAL_S)
    assert agenda.out == 0
    assert agenda.next_due_at() > due_at + INTERVAL_S * (2 - JITTER)


def test_an_account_that_is_given_out_is_not_planned(agenda):
    """Whatever is seen of it meanwhile."""
    known = state()
    due_at = entered(agenda, known)
    entry = agenda.pop_due(now=due_at)
    known.paused_until = due_at + 500
    agenda.look(known, now=due_at)
    assert agenda.next_due_at() is None
    known.heard_at = due_at
    agenda.answered(entry, now=due_at)
    assert due_at + 502 <= agenda.next_due_at() <= due_at + 503


def test_a_shorter_interval_counts_at_once(agenda):
    """With the next look at the account."""
    known = state()
    agenda.interval_s = 86_400.0
    assert entered(agenda, known) > NOW + 60_000
    agenda.interval_s = 60.0
    agenda.look(known, now=NOW + 10)
    assert agenda.next_due_at() <= NOW + 60 * (1 + JITTER)


def test_deadlines_that_are_stale_do_not_pile_up(agenda):
    """However often an account is planned anew."""
    known = state()
    entered(agenda, known)
    for second in range(1_000):
        known.paused_until = NOW + 100 + second
        agenda.look(known, now=NOW)
    assert len(agenda._heap) <= 2 * len(agenda) + 65
    assert popped(agenda, now=agenda.next_due_at()) == ["a"]
