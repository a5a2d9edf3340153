"""Tests of app.allowance.book."""

from random import Random

import pytest

from app.allowance.book import AllowanceBook, Ticket
from app.allowance.budget import Period
from app.domain.caller import Allowance, Caller, KeyId
from app.domain.shared import KeySpent
from app.errors import TooManyRequests

NOW = 1_800_000_000.0


def caller(name: str = "k", **limits: int) -> Caller:
    """Return a caller whose key has these limits."""
    return Caller(KeyId(name), name, allowance=Allowance(**limits))


def enter(book: AllowanceBook, who: Caller, *, at: float = 0.0) -> Ticket:
    """Enter at so many seconds."""
    return book.enter(who, now=NOW + at, monotonic=at)


def reserve(book, ticket, *, tokens=0, cost_nusd=0, at=0.0) -> None:
    """Reserve at so many seconds."""
    book.reserve(ticket, tokens=tokens, cost_nusd=cost_nusd, now=NOW + at, monotonic=at)


def settle(book, ticket, *, tokens=0, cost_nusd=0, at=0.0) -> None:
    """Settle at so many seconds."""
    book.settle(ticket, tokens=tokens, cost_nusd=cost_nusd, now=NOW + at)


def test_a_key_without_limits_has_no_page():
    """Its calls cost one comparison and are told no limits."""
    book, free = AllowanceBook(), Caller(KeyId("free"), "free")
    ticket = enter(book, free)
    reserve(book, ticket, tokens=10**9, cost_nusd=10**15)
    settle(book, ticket, tokens=10**9, cost_nusd=10**15)
    assert book.headers(free, monotonic=0.0) == []
    assert book.spent(free.id, Period.DAY, now=NOW) == 0
    assert not book._pages


def test_so_many_calls_a_minute():
    """The refusal says when the next one may come, and then it may."""
    book, who = AllowanceBook(), caller(requests_per_minute=2)
    for _ in range(2):
        settle(book, enter(book, who))
    with pytest.raises(TooManyRequests) as refused:
        enter(book, who)
    assert refused.value.code == "rate_limit_exceeded"
    assert refused.value.retry_after_s == pytest.approx(30.0)
    enter(book, who, at=30.0)


def test_to_be_let_in_takes_nothing():
    """Whoever could make no call is not let in."""
    book, who = AllowanceBook(), caller(concurrency_max=1, requests_per_minute=2)
    for _ in range(9):
        book.admit(who, now=NOW, monotonic=0.0)
    book.admit(Caller(KeyId("free"), "free"), now=NOW, monotonic=0.0)
    enter(book, who)
    with pytest.raises(TooManyRequests):
        book.admit(who, now=NOW, monotonic=0.0)


def test_so_many_calls_at_a_time():
    """A refused one takes no place and no turn."""
    book, who = AllowanceBook(), caller(concurrency_max=1, requests_per_minute=2)
    first = enter(book, who)
    for _ in range(5):
        with pytest.raises(TooManyRequests, match="1 calls under way"):
            enter(book, who)
    settle(book, first)
    enter(book, who)


def test_so_many_tokens_a_minute():
    """What a call really took replaces what it reserved, in both directions."""
    book, who = AllowanceBook(), caller(tokens_per_minute=100)
    ticket = enter(book, who)
    reserve(book, ticket, tokens=90)
    with pytest.raises(TooManyRequests, match="may take 20"):
        reserve(book, enter(book, who), tokens=20)
    settle(book, ticket, tokens=30)
    second = enter(book, who)
    reserve(book, second, tokens=20)
    settle(book, second, tokens=120)
    with pytest.raises(TooManyRequests) as refused:
        reserve(book, enter(book, who), tokens=1)
    assert refused.value.retry_after_s == pytest.approx(51 * 0.6)


@pytest.mark.parametrize(("limit", "word"), [("day_nusd", "day"), ("month_nusd", "month")])
def test_money_is_reserved_before_it_is_spent(limit, word):
    """A budget that does not reach is told as such, with the moment at which it begins anew."""
    book, who = AllowanceBook(), caller(**{limit: 100})
    ticket = enter(book, who)
    reserve(book, ticket, cost_nusd=80)
    with pytest.raises(TooManyRequests, match=word) as refused:
        reserve(book, enter(book, who), cost_nusd=30)
    assert refused.value.code == "insufficient_quota"
    assert refused.value.resets_at == pytest.approx(NOW + refused.value.retry_after_s)
    settle(book, ticket, cost_nusd=60)
    assert book.spent(who.id, Period(word), now=NOW) == 60
    reserve(book, enter(book, who), cost_nusd=40)


def test_a_refusal_reserves_nothing():
    """Neither money where tokens are short, nor tokens where money is."""
    book, who = AllowanceBook(), caller(tokens_per_minute=10, day_nusd=100)
    reserve(book, enter(book, who), tokens=10)
    with pytest.raises(TooManyRequests):
        reserve(book, enter(book, who), tokens=5, cost_nusd=100)
    reserve(book, enter(book, who), tokens=0, cost_nusd=100)


def test_a_new_day_has_its_own_money():
    """What is still under way is settled in the day in which it ends."""
    book, who = AllowanceBook(), caller(day_nusd=100)
    ticket = enter(book, who)
    reserve(book, ticket, cost_nusd=100)
    settle(book, ticket, cost_nusd=90, at=86_400.0)
    assert book.spent(who.id, Period.DAY, now=NOW + 86_400.0) == 90
    with pytest.raises(TooManyRequests):
        reserve(book, enter(book, who, at=86_400.0), cost_nusd=20, at=86_400.0)
    reserve(book, enter(book, who, at=172_800.0), cost_nusd=100, at=172_800.0)


def test_what_was_spent_elsewhere_counts():
    """In other processes and before the start, but only in its own period."""
    book, who = AllowanceBook(), caller(day_nusd=100)
    book.stored(who.id, Period.DAY, 95, now=NOW)
    with pytest.raises(TooManyRequests):
        reserve(book, enter(book, who), cost_nusd=10)
    reserve(book, enter(book, who), cost_nusd=5)
    reserve(book, enter(book, who, at=86_400.0), cost_nusd=95, at=86_400.0)


def test_a_key_is_a_stranger_until_somebody_tells_what_it_spent():
    """A key without limits never is one; one with a page had perhaps spent before that."""
    book, free = AllowanceBook(), Caller(KeyId("free"), "free")
    told, new, known = (caller(name, day_nusd=100) for name in ("told", "new", "known"))
    enter(book, known)
    book.stored(told.id, Period.DAY, 0, now=NOW)
    everybody = {each.id: each for each in (free, told, new, known)}
    assert book.strangers(everybody.values()) == [new.id, known.id]
    book.keep(everybody)
    assert book.strangers([told]) == []
    book.keep({told.id: Caller(told.id, "told")})
    assert book.strangers([told]) == [told.id]


def test_a_budget_that_comes_later_counts_what_was_spent_under_another_limit():
    """What is under way then is set aside as well."""
    book, who = AllowanceBook(), caller(requests_per_minute=10)
    first, second = enter(book, who), enter(book, who)
    for ticket in (first, second):
        reserve(book, ticket, cost_nusd=30)
    settle(book, first, cost_nusd=40)
    with pytest.raises(TooManyRequests):
        reserve(book, enter(book, caller(day_nusd=100)), cost_nusd=31)
    settle(book, second, cost_nusd=30)
    reserve(book, enter(book, caller(day_nusd=100)), cost_nusd=30)


def test_a_limit_that_comes_later_finds_its_bucket_full():
    """Nobody is refused for what the limit did not know of yet."""
    book = AllowanceBook()
    settle(book, enter(book, caller(concurrency_max=1)))
    enter(book, caller(requests_per_minute=1))
    with pytest.raises(TooManyRequests):
        enter(book, caller(requests_per_minute=1))


def test_a_ticket_is_settled_once():
    """However often somebody tries."""
    book, who = AllowanceBook(), caller(concurrency_max=2, day_nusd=100)
    ticket = enter(book, who)
    settle(book, ticket, cost_nusd=10)
    settle(book, ticket, cost_nusd=10)
    assert book.spent(who.id, Period.DAY, now=NOW) == 10
    enter(book, who)
    enter(book, who)
    with pytest.raises(TooManyRequests):
        enter(book, who)


def test_answers_tell_what_is_left():
    """As OpenAI's do; a limit that is not set is not told."""
    book, who = AllowanceBook(), caller(requests_per_minute=60, tokens_per_minute=600)
    reserve(book, enter(book, who), tokens=100)
    assert dict(book.headers(who, monotonic=0.0)) == {
        b"x-ratelimit-limit-requests": b"60",
        b"x-ratelimit-remaining-requests": b"59",
        b"x-ratelimit-reset-requests": b"1s",
        b"x-ratelimit-limit-tokens": b"600",
        b"x-ratelimit-remaining-tokens": b"500",
        b"x-ratelimit-reset-tokens": b"10s",
    }
    only = caller("only", concurrency_max=1)
    enter(book, only)
    assert book.headers(only, monotonic=0.0) == []


def test_keys_that_are_gone_are_forgotten():
    """Once their last call is over."""
    book, who = AllowanceBook(), caller(concurrency_max=5)
    ticket = enter(book, who)
    book.keep({})
    assert who.id in book._pages
    settle(book, ticket)
    book.keep({who.id: who})
    assert who.id in book._pages
    book.keep({})
    assert not book._pages
    settle(book, Ticket(who.id, who.allowance))


@pytest.mark.parametrize("seed", range(20))
def test_a_storm_never_spends_more_than_the_budget_and_what_calls_overran(seed):
    """Whatever the order of calls: the bound that is promised."""
    rng, book, who = Random(seed), AllowanceBook(), caller(day_nusd=10_000)
    under_way, spent, overrun = [], 0, 0
    for _ in range(500):
        if under_way and rng.random() < 0.5:
            ticket, reserved = under_way.pop(rng.randrange(len(under_way)))
            cost = int(reserved * rng.choice([0.2, 1.0, 1.5]))
            overrun += max(0, cost - reserved)
            spent += cost
            settle(book, ticket, cost_nusd=cost)
        else:
            ticket, wanted = enter(book, who), rng.randrange(1, 400)
            try:
                reserve(book, ticket, cost_nusd=wanted)
            except TooManyRequests:
                settle(book, ticket)
            else:
                under_way.append((ticket, wanted))
        assert spent <= 10_000 + overrun
    assert spent == book.spent(who.id, Period.DAY, now=NOW)
    assert spent > 5_000


def several(*callers: Caller) -> AllowanceBook:
    """Return a book that knows these keys."""
    book = AllowanceBook()
    book.keep({each.id: each for each in callers})
    return book


def hear(book: AllowanceBook, who: Caller, *, at: float = 0.0, **figures: int) -> None:
    """Hear what the others have taken for a key."""
    book.hear(KeySpent(who.id, **figures), now=NOW + at, monotonic=at)


def test_calls_that_others_let_in_are_taken_from_the_minute():
    """And what they let in beyond it is paid back within a minute."""
    who = caller(requests_per_minute=60, tokens_per_minute=600)
    book = several(who)
    hear(book, who, requests=59, tokens=590)
    ticket = enter(book, who)
    with pytest.raises(TooManyRequests):
        reserve(book, ticket, tokens=11)
    reserve(book, ticket, tokens=10)
    hear(book, who, requests=1_000, tokens=10_000)
    with pytest.raises(TooManyRequests) as refused:
        enter(book, who)
    assert refused.value.retry_after_s == pytest.approx(61.0)
    enter(book, who, at=61.0)
    hear(book, who, requests=1_000, tokens=9_000, at=62.0)
    reserve(book, enter(book, who, at=62.0), tokens=600, at=62.0)


def test_calls_that_others_have_under_way_take_places():
    """Until they are over, or those who said so have not been heard of for long."""
    who = caller(concurrency_max=3)
    book = several(who)
    hear(book, who, in_flight=2)
    enter(book, who)
    with pytest.raises(TooManyRequests):
        enter(book, who)
    book.alone = True
    enter(book, who)
    book.alone = False
    hear(book, who, in_flight=0)
    enter(book, who)


def test_money_that_others_have_set_aside_is_not_there():
    """What they have spent is added to what the database had."""
    who = caller(day_nusd=100)
    book = several(who)
    day = 86_400 * int(NOW // 86_400)
    book.stored(who.id, Period.DAY, 50, now=NOW)
    hear(book, who, day_at=day, day_nusd=10, reserved_nusd=20)
    with pytest.raises(TooManyRequests):
        reserve(book, enter(book, who), cost_nusd=21)
    ticket = enter(book, who)
    reserve(book, ticket, cost_nusd=20)
    hear(book, who, day_at=day, day_nusd=10)
    reserve(book, enter(book, who), cost_nusd=20)
    settle(book, ticket, cost_nusd=20)
    # By now the database has what was spent here as well.
    book.stored(who.id, Period.DAY, 80, now=NOW)
    with pytest.raises(TooManyRequests):
        reserve(book, enter(book, who), cost_nusd=1)


def test_a_key_that_is_limited_from_now_on_owes_nothing_for_what_was():
    """Else it would be kept out for what nobody limited."""
    who = caller(requests_per_minute=10)
    book = several(who)
    book.introduce(KeySpent(who.id, requests=5_000))
    hear(book, who, requests=5_004)
    for _ in range(6):
        enter(book, who)
    with pytest.raises(TooManyRequests):
        enter(book, who)


def test_what_was_taken_here_is_told_once():
    """Absolute, and as it is when it is asked for; keys without limits are nobody's business."""
    who, free = caller(requests_per_minute=10), Caller(KeyId("free"), "free")
    book = several(who, free)
    enter(book, free)
    ticket = enter(book, who)
    reserve(book, ticket, tokens=30, cost_nusd=7)
    [row] = book.take_spent(now=NOW)
    assert (row.in_flight, row.requests, row.tokens, row.reserved_nusd) == (1, 1, 30, 7)
    assert book.take_spent(now=NOW) == []
    settle(book, ticket, tokens=20, cost_nusd=5)
    [row] = book.take_spent(now=NOW)
    assert (row.in_flight, row.requests, row.tokens, row.reserved_nusd) == (0, 1, 20, 0)
    assert (row.day_nusd, row.month_nusd) == (5, 5)
    hear(book, free, requests=5)
    assert list(book.limited) == [who.id]
    assert book.budgeted == []
