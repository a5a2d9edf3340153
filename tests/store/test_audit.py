"""Tests of app.store.audit."""

from app.domain.admin import AuditEntry
from app.store.audit import TEXT_CHARS_MAX, Audit
from app.store.store import Store


def entry(action: str, **more) -> AuditEntry:
    """Return an entry."""
    return AuditEntry(1.0, "session:1", "192.0.2.1", "req-1", action, "target", **more)


async def test_entries_are_read_latest_first_and_page_by_page(store: Store) -> None:
    """By their ids, which grow."""
    for number in range(3):
        await store.audit.note(entry("a" if number else "b"))
    page = await store.audit.page(limit=2)
    assert [each.action for each in page] == ["a", "a"]
    rest = await store.audit.page(before=page[-1].id, limit=2)
    assert [each.action for each in rest] == ["b"]
    assert [each.action for each in await store.audit.page(action="b")] == ["b"]


async def test_a_long_change_is_told_by_its_length(store: Store) -> None:
    """So that no entry fills the disk."""
    long = '"' + "x" * TEXT_CHARS_MAX + '"'
    await store.audit.note(entry("a", before=long, after="1"))
    (found,) = await store.audit.page()
    assert (found.before, found.after) == (f'"{len(long)} characters"', "1")


def test_nothing_changes_or_deletes_an_entry() -> None:
    """There is no way to, in here."""
    assert {name for name in vars(Audit) if not name.startswith("_")} == {"note", "page"}
