"""The audit notices each way in which the books can be wrong."""

from typing import Any

import pytest
from msgspec import structs

from loadtests.callers import Seen
from loadtests.crashes.audit import Books, audit

SEEN = Seen("call-1", stream=True, status=200, content=True, response_id="resp_1", ended=True)
TOKENS = {"input_tokens": 7, "output_tokens": 3, "input_tokens_details": {"cached_tokens": 2}}
RECORD = {"response_id": "resp_1", "tokens": TOKENS}
FIGURES = {"input": 7, "cached": 2, "output": 3, "reasoning": 0, "cost_nusd": 50}
REQUEST: dict[str, Any] = {
    "uid": "u1", "request_id": "call-1", "code": "ok", "source": "upstream", "interrupted": 0,
} | FIGURES  # fmt: skip
ATTEMPT = {"uid": "u1", "number": 1} | FIGURES
TOTAL = {"requests": 1, "attempts": 1} | FIGURES
GOOD = Books([REQUEST], [ATTEMPT], [TOTAL])
CUT = structs.replace(SEEN, ended=False, response_id="")


def changed(**fields: Any) -> Books:
    """Return the good books with another request."""
    return structs.replace(GOOD, requests=[REQUEST | fields])


def test_books_that_agree_have_no_faults():
    """A call that was heard to its end, and one of which nothing was delivered."""
    found = audit([SEEN, Seen("call-2", stream=True)], GOOD, [RECORD])
    assert (found.whole, found.broken, found.faults) == (1, 0, [])


@pytest.mark.parametrize("fields", [{"interrupted": 1}, {"code": "stream_incomplete"}])
def test_what_broke_off_and_says_so_is_no_fault(fields):
    """By either flag."""
    found = audit([CUT], changed(**fields), [RECORD])
    assert (found.whole, found.broken, found.faults) == (0, 1, [])


EMPTY = Books([], [], [])
WRONG: list[tuple[Seen, Books, list[dict[str, Any]], str]] = [
    (SEEN, EMPTY, [RECORD], "is not booked"),
    (CUT, EMPTY, [RECORD], "partly delivered and is not booked"),
    (CUT, GOOD, [RECORD], "as if it were whole"),
    (SEEN, GOOD, [], "unknown to the simulator"),
    (SEEN, changed(output=4), [RECORD], "(7, 2, 4)"),
    (SEEN, changed(source="estimated"), [RECORD], "by estimated"),
    (SEEN, changed(code="interrupted"), [RECORD], "as interrupted"),
    (SEEN, Books([REQUEST, REQUEST | {"uid": "u2"}], [ATTEMPT], [TOTAL]), [RECORD], "2 times"),
    (SEEN, structs.replace(GOOD, attempts=[ATTEMPT, ATTEMPT]), [RECORD], "('u1', 1) stands there"),
    (SEEN, changed(cost_nusd=51), [RECORD], "cost_nusd is not the sum"),
    (SEEN, structs.replace(GOOD, totals=[]), [RECORD], "the hours have 0 requests"),
]


@pytest.mark.parametrize(("seen", "books", "upstream", "fault"), WRONG)
def test_each_disagreement_is_told(seen, books, upstream, fault):
    """In a sentence that names the call."""
    assert any(fault in each for each in audit([seen], books, upstream).faults)
