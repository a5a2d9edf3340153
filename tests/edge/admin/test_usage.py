"""Tests of app.edge.admin.usage."""

import pytest

from app.domain.report import Place
from app.edge.admin.usage import COLUMNS, cursor_of, place
from app.errors import InvalidRequest
from tests.edge.admin.conftest import fields
from tests.store.calls import attempt, request


@pytest.fixture
async def calls(opened):
    """Three calls in the books, a minute apart."""
    now = opened.clock.now()
    ledger = opened.store.ledger(opened.clock)
    attempts = [attempt(n, at=now - 60 * n, caller_id="k", account_id="a") for n in (1, 2, 3)]
    requests = [
        request(n, at=now - 60 * n, caller_id="k", account_id="a", asked_model="=HYPERLINK(1)")
        for n in (1, 2, 3)
    ]
    await ledger.take(attempts, requests, segment="s/1", offset=1)
    return requests


async def test_sums_are_answered_from_the_books(admin, calls):
    """By hour, by model, by error, by latency."""
    overview = (await admin.get("usage/overview")).json()
    assert overview["month"]["requests"] == len(calls)
    assert (await admin.get("usage/overview?caller_id=other")).json()["month"]["requests"] == 0
    series = (await admin.get("usage/series?step=day&count=7")).json()["items"]
    assert [point["totals"]["requests"] for point in series][-2:] in (
        [0, 3],
        [1, 2],
        [2, 1],
        [3, 0],
    )
    (line,) = (await admin.get("usage/lines?by=account&step=day&count=2")).json()["items"]
    assert (line["id"], line["totals"]["requests"]) == ("a", 3)
    assert (await admin.get("usage/errors")).json() == {"items": []}
    assert (await admin.get("usage/latency?step=day&count=2")).json()["count"] == 3


async def test_the_log_is_read_page_by_page(admin, calls):
    """The latest first, each once."""
    seen, cursor = [], ""
    while True:
        page = (await admin.get(f"usage/requests?limit=2{cursor}")).json()
        seen += [each["uid"] for each in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == [each.uid for each in calls]
    detail = (await admin.get(f"usage/requests/{seen[0]}")).json()
    assert [each["number"] for each in detail["attempts"]] == [1]
    assert (await admin.get("usage/requests/none")).status_code == 404
    assert (await admin.get("usage/requests?code=other")).json()["items"] == []


async def test_the_log_is_exported_as_csv(admin, calls):
    """No cell is a formula."""
    answer = await admin.get("usage/requests.csv?rows=2")
    lines = answer.text.splitlines()
    assert lines[0] == ",".join(COLUMNS)
    assert len(lines) == len(calls)
    assert "'=HYPERLINK(1)" in lines[1]
    assert answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]


@pytest.mark.parametrize("cursor", ["", "x", "e30", "bm8"])
def test_a_cursor_is_ours_or_refused(cursor):
    """It comes back as it was given."""
    here = Place(1.5, "uid")
    assert place(cursor_of(here)) == here
    assert place(None) is None
    with pytest.raises(InvalidRequest):
        place(cursor)


async def test_a_wrong_question_is_named(admin):
    """Field by field."""
    for query, field in (("series?step=year", "step"), ("lines?by=colour", "by"),
                         ("series?count=0", "count"), ("requests?limit=1000", "limit"),
                         ("requests?cursor=x", "cursor")):  # fmt: skip
        answer = await admin.get(f"usage/{query}")
        assert (answer.status_code, fields(answer)) == (400, [field]), answer.text
