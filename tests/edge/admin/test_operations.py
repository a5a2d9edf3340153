"""Tests of app.edge.admin.operations."""

import os

from app.domain.ledger import Source
from tests.edge.admin.conftest import code
from tests.store.calls import attempt, request


async def test_the_worker_tells_how_it_does(admin, opened):
    """Its process, its journal, its stores."""
    page = (await admin.get("ops/overview")).json()
    assert page["worker"]["pid"] == os.getpid()
    assert page["numbers"]["memory_bytes"] > 1 << 20
    assert page["numbers"]["store_up"] is True
    assert page["numbers"]["journal"]["healthy"] is True
    assert page["cache"] == "memory"
    assert page["database"].endswith("codex2api.db")
    assert page["database_revision"] == opened.revision


async def test_a_drain_is_ordered_and_written_down(admin, opened):
    """The worker takes no call any more."""
    answer = await admin.post("drain")
    assert answer.json() == {"draining": True, "in_flight": 0}
    assert opened.in_flight.draining
    assert (await admin.get("audit?action=drain")).json()["items"][0]["actor"].startswith("session")


async def test_a_request_is_explained_by_the_books(admin, opened):
    """Also when the pool has forgotten why."""
    now = opened.clock.now()
    ledger = opened.store.ledger(opened.clock)
    row = request(1, at=now - 1, request_id="mine")
    await ledger.take([attempt(1, at=now - 1)], [row], segment="s/1", offset=1)
    found = (await admin.get("explain/mine")).json()
    assert [each["request"]["uid"] for each in found["requests"]] == [row.uid]
    assert found["requests"][0]["attempts"][0]["source"] in set(Source)
    missing = await admin.get("explain/other")
    assert (missing.status_code, code(missing)) == (404, "not_found")
    assert (await admin.get("explain?limit=5")).json() == []


async def test_the_audit_log_is_read_page_by_page(admin):
    """The latest first."""
    for number in range(3):
        await admin.post("keys", json={"name": f"k{number}"})
    page = (await admin.get("audit?limit=2&action=key_created")).json()
    assert len(page["items"]) == 2
    rest = (
        await admin.get(f"audit?limit=2&action=key_created&cursor={page['next_cursor']}")
    ).json()
    assert (len(rest["items"]), rest["next_cursor"]) == (1, None)
    assert all(each["ip"] == "192.0.2.7" for each in page["items"])


async def test_clients_are_told_the_address_that_was_asked(admin):
    """With the right path for each kind of client."""
    told = (await admin.get("connect")).json()
    assert told["bases"]["openai"] == "http://gateway.example:8080/v1"
    assert "gpt-5.5" in told["models"]
