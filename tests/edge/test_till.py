"""Tests of app.edge.till."""

import pytest

from app.allowance.budget import Period
from app.domain.call import Call, Dialect
from app.domain.caller import Allowance, Caller, KeyId
from app.domain.outcome import Succeeded
from app.domain.usage import Heard, Usage
from app.errors import StateError, TooManyRequests
from app.usage.accountant import Ended
from tests.edge.books import Books
from tests.fakes.accounts import account
from tests.fakes.clock import FakeClock

CLOCK = FakeClock()
USAGE = Usage(input=100, output=10)
COST = 100 * 2_500 + 10 * 15_000


def call(uid: str) -> Call:
    """Return a call of 100 tokens."""
    return Call(
        id="r", caller_id=KeyId("k"), dialect=Dialect.CHAT, model="gpt-5.4", body=b"x" * 400,
        uid=uid,
    )  # fmt: skip


def ended(made: Call) -> Ended:
    """Return the end of a call's request."""
    return Ended(
        uid=made.uid, at=CLOCK.now(), request_id="r", caller_id="k", dialect=made.dialect,
        call=made, status=200, code="ok", first_event_s=None, seconds=1.0,
    )  # fmt: skip


def test_a_call_is_settled_with_what_it_took():
    """In place of what was set aside for it: the input, and the answer at its longest."""
    books = Books(CLOCK)
    caller = Caller(KeyId("k"), "k", allowance=Allowance(tokens_per_minute=5_000, day_nusd=10**9))
    ticket, made = books.till.enter(caller), call(books.till.open())
    books.till.reserve(ticket, made, 1_000)
    assert (ticket.reserved_tokens, ticket.reserved_nusd) == (1_100, 100 * 2_500 + 15_000_000)
    assert dict(books.till.headers(caller))[b"x-ratelimit-remaining-tokens"] == b"3900"
    books.accountant.leased(made, "balanced", 0.0)
    books.accountant.attempt(made, account("a"), Succeeded(0.1, USAGE), Heard(USAGE))
    books.till.close(ticket, ended(made))
    assert dict(books.till.headers(caller))[b"x-ratelimit-remaining-tokens"] == b"4890"
    assert books.allowance.spent(caller.id, Period.DAY, now=CLOCK.now()) == COST
    assert len(books.records) == 2


def test_what_does_not_fit_is_refused_before_it_is_begun():
    """A call that can cost a dollar does not fit into a cent."""
    books = Books(CLOCK)
    caller = Caller(KeyId("k"), "k", allowance=Allowance(month_nusd=10**7))
    ticket, made = books.till.enter(caller), call(books.till.open())
    with pytest.raises(TooManyRequests) as refused:
        books.till.reserve(ticket, made, 100_000)
    assert refused.value.code == "insufficient_quota"
    books.till.reserve(ticket, made, 500)


def test_a_key_without_limits_sets_nothing_aside():
    """Its calls are written down all the same; what never entered has nothing to settle."""
    books, caller = Books(CLOCK), Caller(KeyId("k"), "k")
    ticket, made = books.till.enter(caller), call(books.till.open())
    books.till.reserve(ticket, made, 10**9)
    assert ticket.reserved_nusd == 0
    assert books.till.headers(caller) == []
    books.till.close(ticket, ended(made))
    books.till.close(None, ended(made))
    assert [record.uid for record in books.records] == [made.uid, made.uid]


def test_nothing_is_opened_while_nothing_can_be_written():
    """It is the operator's to mend, and soon tried again."""
    books = Books(CLOCK)
    books.journal.healthy = False
    with pytest.raises(StateError) as refused:
        books.till.open()
    assert (refused.value.status, refused.value.code) == (503, "store_unavailable")
    assert refused.value.retry_after_s
