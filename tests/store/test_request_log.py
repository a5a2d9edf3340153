"""Tests of app.store.request_log."""

from collections.abc import Sequence

import pytest

from app.domain.ledger import RequestRow
from app.domain.report import Page, Place, Wanted
from app.store import request_log
from app.store.request_log import PAGE_MAX, RequestLog
from app.store.store import Store
from tests.store.calls import NOON, attempt, request, take


@pytest.fixture
def log(store: Store) -> RequestLog:
    """The log of an empty store."""
    return store.request_log


def ids(rows: Sequence[RequestRow]) -> list[int]:
    """Return the numbers of requests."""
    return [int(row.uid.rpartition("-")[2], 16) for row in rows]


async def walked(log: RequestLog, wanted: Wanted, *, limit: int) -> tuple[list[int], int]:
    """Return the numbers of all requests, page by page, and how many pages there were."""
    found: list[int] = []
    page = Page([], None)
    for pages in range(1, 100):
        page = await log.page(wanted, after=page.next, limit=limit)
        assert len(page.requests) <= limit
        found += ids(page.requests)
        if page.next is None:
            return found, pages
    pytest.fail("the list has no end")


async def test_requests_come_newest_first(store: Store, log: RequestLog) -> None:
    """Whole, as they were taken; an empty list has no next page."""
    assert await log.page(Wanted()) == Page([], None)
    rows = [request(1, at=NOON), request(2, at=NOON + 1)]
    await take(store, [], rows)
    assert await log.page(Wanted()) == Page(rows[::-1], None)


async def test_pages_neither_skip_nor_repeat(store: Store, log: RequestLog) -> None:
    """Also among requests of the same moment, and while new ones come in."""
    moments = [0, 1, 1, 1, 2, 2, 3]
    await take(store, [], [request(n, at=NOON + at) for n, at in enumerate(moments)])
    for limit in (1, 2, 3, 7, 8):
        found, pages = await walked(log, Wanted(), limit=limit)
        assert found == [6, 5, 4, 3, 2, 1, 0]
        assert pages == -(-len(moments) // limit)
    page = await log.page(Wanted(), limit=3)
    await take(store, [], [request(99, at=NOON + 9)])
    assert ids((await log.page(Wanted(), after=page.next, limit=3)).requests) == [3, 2, 1]


async def test_a_page_has_a_bounded_size(store: Store, log: RequestLog) -> None:
    """At least one row, so that paging moves on, and never more than the bound."""
    await take(store, [], [request(n, at=NOON + n) for n in range(PAGE_MAX + 2)])
    for asked, given in ((0, 1), (-5, 1), (10_000, PAGE_MAX)):
        page = await log.page(Wanted(), limit=asked)
        assert len(page.requests) == given
        assert page.next is not None


WANTED = [
    (Wanted(caller_id="b"), {1, 4}),
    (Wanted(account_id="y"), {2, 4}),
    (Wanted(caller_id="b", account_id="y"), {4}),
    (Wanted(caller_id="nobody"), set()),
    (Wanted(model="gpt-6"), {3}),
    (Wanted(status_class=4), {5}),
    (Wanted(status_class=5), {4}),
    (Wanted(status_class=0), {6}),
    (Wanted(status_class=2), {0, 1, 2, 3}),
    (Wanted(code="pool_busy"), {4}),
    (Wanted(request_id="req_3"), {3}),
    (Wanted(since=NOON + 2, until=NOON + 5), {2, 3, 4}),
    (Wanted(status_class=2, caller_id="b", since=NOON + 1), {1}),
    (Wanted(), {0, 1, 2, 3, 4, 5, 6}),
]


@pytest.mark.parametrize("scan", [1, 2, 5_000])
async def test_a_filter_finds_what_it_asks_for_and_nothing_else(
    store: Store, log: RequestLog, monkeypatch: pytest.MonkeyPatch, scan: int
) -> None:
    """However few rows a page may look at, all matches come in the end, each once."""
    monkeypatch.setattr(request_log, "SCAN_MAX", scan)
    changes = [
        {},
        {"caller_id": "b"},
        {"account_id": "y"},
        {"model": "gpt-6"},
        {"caller_id": "b", "account_id": "y", "status": 503, "code": "pool_busy"},
        {"caller_id": None, "account_id": None, "model": None, "status": 401, "code": "no_key"},
        {"status": 0, "code": "interrupted", "interrupted": True},
    ]
    await take(store, [], [request(n, at=NOON + n, **each) for n, each in enumerate(changes)])
    for wanted, expected in WANTED:
        for limit in (1, 3):
            found, _ = await walked(log, wanted, limit=limit)
            assert found == sorted(expected, reverse=True), wanted


async def test_a_page_looks_at_a_bounded_number_of_rows(
    store: Store, log: RequestLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be empty and still have a next one, from where the search goes on."""
    monkeypatch.setattr(request_log, "SCAN_MAX", 4)
    await take(store, [], [request(n, at=NOON + n) for n in range(10)])
    await take(store, [], [request(77, at=NOON - 1, code="rare")])
    first = await log.page(Wanted(code="rare"))
    assert first == Page([], Place(NOON + 6, ""))
    second = await log.page(Wanted(code="rare"), after=first.next)
    assert second == Page([], Place(NOON + 2, ""))
    third = await log.page(Wanted(code="rare"), after=second.next)
    assert (ids(third.requests), third.next) == ([77], None)


async def test_one_request_comes_with_its_attempts(store: Store, log: RequestLog) -> None:
    """In their order; a request without any has none, one that is unknown is None."""
    tried = [attempt(1, number=number, account_id=f"a{number}") for number in (2, 1, 3)]
    await take(store, [*tried, attempt(2)], [request(1), request(3)])
    detail = await log.request(request(1).uid)
    assert detail is not None
    assert detail.request == request(1)
    assert [each.number for each in detail.attempts] == [1, 2, 3]
    bare = await log.request(request(3).uid)
    assert bare is not None
    assert bare.attempts == []
    assert await log.request(request(2).uid) is None


async def test_an_account_shows_the_attempts_that_another_one_made_up_for(
    store: Store, log: RequestLog
) -> None:
    """The request says nothing of them; newest first, a bounded number."""
    rows = [attempt(n, at=NOON + n, account_id="abc"[n % 3]) for n in range(9)]
    await take(store, rows)
    assert [each.at - NOON for each in await log.attempts("b")] == [7, 4, 1]
    assert await log.attempts("b", limit=1) == [rows[7]]
    assert len(await log.attempts("b", limit=0)) == 1
    assert await log.attempts("unknown") == []
