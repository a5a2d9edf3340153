"""Tests of app.usage.pairing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.ledger import AttemptRow, RequestRow, Source
from app.domain.usage import Usage
from app.usage.pairing import INTERRUPTED, Pairing
from tests.usage.records import answered, attempted, began


def rows_of(*records, segment: int = 1):
    """Return the rows that these records make, and the pairing."""
    pairing = Pairing()
    rows = [row for record in records for row in pairing.feed(record, segment=segment)]
    return rows, pairing


def test_a_call_that_went_well_is_two_rows():
    """The attempt as it was, and the request with its sums."""
    rows, pairing = rows_of(began(), attempted(), answered())
    attempt, request = rows
    assert isinstance(attempt, AttemptRow)
    assert (attempt.uid, attempt.number, attempt.outcome, attempt.delivered) == (
        "u1", 1, "succeeded", True,
    )  # fmt: skip
    assert isinstance(request, RequestRow)
    assert request.usage == Usage(input=100, cached=50, output=20, reasoning=5)
    assert (request.status, request.code, request.account_id) == (200, "ok", "a")
    assert (request.cost_nusd, request.source, request.interrupted) == (
        1_000, Source.UPSTREAM, False,
    )  # fmt: skip
    assert len(pairing) == 0
    assert pairing.oldest is None
    assert list(pairing.leftovers()) == []


def test_a_request_sums_its_attempts_up():
    """All that was spent on it, on the account that answered it in the end."""
    first = attempted(outcome="broken", usage=Usage(input=7, cache_write=3), cost_nusd=5)
    second = attempted(number=2, account_id="b")
    rows, _ = rows_of(first, second, answered(attempts=2))
    request = rows[-1]
    assert request.usage == Usage(input=107, cached=50, cache_write=3, output=20, reasoning=5)
    assert (request.account_id, request.cost_nusd, request.attempts) == ("b", 1_005, 2)


@pytest.mark.parametrize(
    ("sources", "of_all"),
    [
        ([], Source.NONE),
        ([Source.NONE], Source.NONE),
        ([Source.NONE, Source.UPSTREAM], Source.UPSTREAM),
        ([Source.UPSTREAM, Source.ESTIMATED], Source.ESTIMATED),
    ],
)
def test_a_sum_is_as_certain_as_its_least_certain_part(sources, of_all):
    """An attempt without figures makes the others no less certain."""
    attempts = [attempted(number=n, source=source) for n, source in enumerate(sources, 1)]
    rows, _ = rows_of(*attempts, answered())
    assert rows[-1].source is of_all


def test_a_refused_request_has_no_attempt():
    """It never touched an account."""
    rows, _ = rows_of(answered(status=401, caller_id=None, attempts=0))
    assert [type(row) for row in rows] == [RequestRow]
    assert (rows[0].account_id, rows[0].usage, rows[0].source) == (None, Usage(), Source.NONE)


def test_the_segment_of_the_oldest_open_call_is_needed():
    """Calls that began later and ended earlier do not let go of it."""
    pairing = Pairing()
    pairing.feed(began("old"), segment=1)
    pairing.feed(began("new"), segment=2)
    pairing.feed(attempted("new"), segment=3)
    pairing.feed(answered("new"), segment=3)
    assert pairing.oldest == 1
    pairing.feed(answered("old"), segment=4)
    assert pairing.oldest is None


def test_a_worker_that_dies_in_a_stream_leaves_it_flagged():
    """Something was delivered, nobody knows how much."""
    _, pairing = rows_of(attempted(outcome="broken", source=Source.NONE), began(number=2, at=11.0))
    attempt, request = pairing.leftovers()
    assert (attempt.number, attempt.outcome, attempt.source) == (2, INTERRUPTED, Source.NONE)
    assert attempt.delivered
    assert (request.status, request.code, request.interrupted) == (0, INTERRUPTED, True)
    assert (request.attempts, request.at, request.source) == (2, 10.0, Source.NONE)
    assert len(pairing) == 0


def test_a_worker_that_dies_in_a_first_stream_leaves_its_beginning():
    """The time is that of the attempt, as the request's own is not known."""
    _, pairing = rows_of(began(at=11.0))
    attempt, request = pairing.leftovers()
    assert (attempt.at, request.at, request.attempts, request.queue_s) == (11.0, 11.0, 1, 0.0)
    assert request.first_event_s is None


def test_a_worker_that_dies_after_the_terminal_event_leaves_a_good_call():
    """Whether the event went out is not known, so it is flagged, with all its figures."""
    _, pairing = rows_of(began(), attempted())
    (request,) = pairing.leftovers()
    assert (request.status, request.code, request.interrupted) == (200, "ok", True)
    assert (request.usage.input, request.source) == (100, Source.UPSTREAM)
    assert (request.first_event_s, request.seconds, request.queue_s) == (0.25, 2.0, 0.5)


def test_a_worker_that_dies_between_two_attempts_leaves_the_call_open():
    """What the caller saw is not known: there is no answer."""
    _, pairing = rows_of(attempted(outcome="broken"))
    (request,) = pairing.leftovers()
    assert (request.status, request.interrupted, request.source) == (0, True, Source.NONE)
    assert request.cost_nusd == 1_000


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from("bar")), max_size=40))
def test_every_call_is_requested_at_most_once_and_none_is_lost(steps):
    """In any order of any records: one request row for each answer, one for each that is left."""
    make = {"b": began, "a": attempted, "r": answered}
    pairing = Pairing()
    rows, open_calls, answers = [], set(), 0
    for n, kind in steps:
        rows += pairing.feed(make[kind](f"u{n}"), segment=1)
        (open_calls.discard if kind == "r" else open_calls.add)(n)
        answers += kind == "r"
    rows += pairing.leftovers()
    requests = [row for row in rows if isinstance(row, RequestRow)]
    assert len(requests) == answers + len(open_calls)
    attempts = [row for row in rows if isinstance(row, AttemptRow)]
    ends = sum(kind == "a" for _, kind in steps)
    assert ends <= len(attempts) <= ends + len(open_calls)
