"""Tests of app.admin.audit."""

from app.admin.audit import Auditor
from app.domain.admin import Actor
from tests.admin.rows import AuditRows
from tests.fakes.clock import FakeClock


async def test_an_entry_tells_who_what_and_from_where():
    """Before and after as JSON."""
    rows, clock = AuditRows(), FakeClock()
    auditor = Auditor(rows=rows, clock=clock)
    actor = Actor("session:1", "192.0.2.1", "req-1")
    await auditor.note(actor, "key_changed", "k", before={"a": 1}, after={"a": None})
    (entry,) = await auditor.page(before=None, limit=5, action=None)
    assert (entry.at, entry.actor, entry.ip, entry.request_id) == (
        clock.now(), "session:1", "192.0.2.1", "req-1",
    )  # fmt: skip
    assert (entry.action, entry.target, entry.before, entry.after) == (
        "key_changed", "k", '{"a":1}', '{"a":null}',
    )  # fmt: skip
