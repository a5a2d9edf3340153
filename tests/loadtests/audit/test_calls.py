"""The checks of calls notice each way in which calls and books can be wrong."""

from typing import Any

import pytest
from msgspec import structs

from loadtests.audit.books import Books
from loadtests.audit.calls import booked, in_order, no_second_try, one_end, own_words
from loadtests.audit.evidence import Evidence
from loadtests.hearing import Seen

SEEN = Seen("call-1", stream=True, status=200, content=True, response_id="resp_1", ended=True)
TOKENS = {"input_tokens": 7, "output_tokens": 3, "input_tokens_details": {"cached_tokens": 2}}
RECORD: dict[str, Any] = {
    "id": "sim-1", "nonce": "call-1", "response_id": "resp_1", "tokens": TOKENS, "began_ns": 1,
}  # fmt: skip
FIGURES = {"input": 7, "cached": 2, "output": 3, "reasoning": 0, "cost_nusd": 50}
REQUEST: dict[str, Any] = {
    "uid": "u1", "request_id": "call-1", "code": "ok", "source": "upstream", "interrupted": 0,
} | FIGURES  # fmt: skip
ATTEMPT: dict[str, Any] = {
    "uid": "u1", "number": 1, "source": "upstream", "outcome": "succeeded",
} | FIGURES  # fmt: skip
TOTAL = {"requests": 1, "attempts": 1} | FIGURES
GOOD = Books([REQUEST], [ATTEMPT], [TOTAL])
CUT = structs.replace(SEEN, ended=False, response_id="", code="stream_incomplete")


def changed(**fields: Any) -> Books:
    """Return the good books with another request."""
    return structs.replace(GOOD, requests=[REQUEST | fields])


def tried(**fields: Any) -> Books:
    """Return the good books with another attempt."""
    return structs.replace(GOOD, attempts=[ATTEMPT | fields])


def evidence(*seen: Seen, books: Books = GOOD, ledger: Any = (RECORD,), **more: Any) -> Evidence:
    """Return what a run of these calls has left."""
    return Evidence(seen=seen, books=books, ledger=ledger, **more)


def test_a_run_that_went_well_has_no_faults():
    """A call that was heard to its end, and one that its caller left."""
    run = evidence(SEEN, Seen("call-2", stream=True, left=True))
    for check in (one_end, in_order, own_words, booked, no_second_try):
        assert list(check(run)) == []


@pytest.mark.parametrize("fields", [{"interrupted": 1}, {"code": "stream_incomplete"}])
def test_what_broke_off_and_says_so_is_no_fault(fields):
    """By either flag."""
    run = evidence(CUT, books=changed(**fields))
    assert list(one_end(run)) == list(booked(run)) == []


EMPTY = Books([], [], [])
WRONG: list[tuple[Seen, Books, list[dict[str, Any]], str]] = [
    (SEEN, EMPTY, [RECORD], "is not booked"),
    (CUT, EMPTY, [RECORD], "partly delivered and is not booked"),
    (CUT, GOOD, [RECORD], "as if it were whole"),
    (SEEN, GOOD, [], "unknown to the simulator"),
    (SEEN, tried(output=4), [RECORD], "(7, 2, 4)"),
    (SEEN, tried(source="estimated"), [RECORD], "by estimated"),
    (SEEN, changed(code="interrupted"), [RECORD], "as interrupted"),
    (SEEN, changed(output=4), [RECORD], "output is not the sum"),
    (structs.replace(SEEN, unpriced=True), GOOD, [RECORD], "by upstream"),
    (SEEN, Books([REQUEST, REQUEST | {"uid": "u2"}], [ATTEMPT], [TOTAL]), [RECORD], "2 times"),
    (SEEN, structs.replace(GOOD, attempts=[ATTEMPT, ATTEMPT]), [RECORD], "('u1', 1) stands there"),
    (
        SEEN,
        structs.replace(GOOD, attempts=[ATTEMPT, ATTEMPT | {"number": 2}]),
        [RECORD],
        "2 attempts that succeeded",
    ),
    (SEEN, changed(cost_nusd=51), [RECORD], "cost_nusd is not the sum"),
    (SEEN, structs.replace(GOOD, totals=[]), [RECORD], "the hours have 0 requests"),
]


@pytest.mark.parametrize(("seen", "books", "ledger", "fault"), WRONG)
def test_each_disagreement_of_the_books_is_told(seen, books, ledger, fault):
    """In a sentence that names the call."""
    assert any(fault in each for each in booked(evidence(seen, books=books, ledger=ledger)))


ENDS = [
    (structs.replace(SEEN, ended=False), "no end"),
    (structs.replace(SEEN, code="server_error"), "has ended well and with server_error"),
    (structs.replace(CUT, code="ReadError", cut=True), "was cut off: ReadError"),
]


@pytest.mark.parametrize(("seen", "fault"), ENDS)
def test_each_wrong_end_is_told(seen, fault):
    """None, two, or a break without a word."""
    assert [fault in each for each in one_end(evidence(seen))] == [True]


def test_a_killed_gateway_may_cut_without_a_word():
    """Nobody is left who could say it."""
    seen = structs.replace(CUT, code="ReadError", cut=True)
    assert list(one_end(evidence(seen, killed=True))) == []


def test_words_of_another_call_are_told():
    """With the name of the call that they belong to."""
    seen = structs.replace(SEEN, foreign=["call-2"])
    assert "the words of call-2" in next(own_words(evidence(seen)))


def test_disorder_is_told():
    """Whatever the listener has noticed."""
    seen = structs.replace(SEEN, disorder=["said 4 after 5"])
    assert "said 4 after 5" in next(in_order(evidence(seen)))


def later(number: int) -> dict[str, Any]:
    """Return the record of a further attempt."""
    return RECORD | {"response_id": f"resp_{number}", "began_ns": number}


def test_an_attempt_after_content_is_told():
    """The caller has heard the first reply, and yet there is a second."""
    assert "after its content" in next(no_second_try(evidence(SEEN, ledger=[RECORD, later(2)])))
    assert list(no_second_try(evidence(SEEN, ledger=[later(0), RECORD]))) == []


def test_more_attempts_than_allowed_are_told():
    """Four are."""
    run = evidence(CUT, ledger=[later(number) for number in range(5)])
    assert "tried 5 times, of 4" in next(no_second_try(run))


def test_a_storm_of_attempts_is_told():
    """Twenty are free in ten seconds; beyond them a fifth of the calls."""
    ledger = [
        later(number) | {"nonce": f"call-{call}"} for call in range(30) for number in range(2)
    ]
    assert "30 attempts were made again" in next(no_second_try(evidence(ledger=ledger)))
    assert list(no_second_try(evidence(ledger=ledger[:40]))) == []
