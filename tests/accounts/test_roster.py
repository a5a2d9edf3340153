"""Tests of app.accounts.roster."""

from random import Random

from app.accounts.roster import Roster
from tests.fakes.credential_store import account


def test_the_longest_overdue_comes_first():
    """Deadlines are taken in their order, and none before its time."""
    roster = Roster()
    for name, due_at in [("a", 30.0), ("b", 10.0), ("c", 20.0)]:
        roster.schedule(roster.add(account(name)), due_at)
    due = [roster.pop_due(now=25.0) for _ in range(3)]
    assert [entry and entry.account.id for entry in due] == ["b", "c", None]
    assert roster.next_due_at() == 30.0
    assert due[0].due_at is None


def test_only_the_last_deadline_of_an_entry_counts():
    """A deadline that was moved, cleared or forgotten with its account passes over."""
    roster = Roster()
    moved, cleared, gone = (roster.add(account(name)) for name in ("moved", "cleared", "gone"))
    for entry in (moved, cleared, gone):
        roster.schedule(entry, 10.0)
    roster.schedule(moved, 50.0)
    roster.schedule(cleared, None)
    roster.remove(gone.account.id)
    roster.remove(gone.account.id)
    assert roster.pop_due(now=40.0) is None
    assert roster.pop_due(now=50.0) is moved
    assert roster.next_due_at() is None
    assert roster.ids() == ["moved", "cleared"]
    assert len(roster) == 2
    assert roster.get(gone.account.id) is None


def test_moved_deadlines_leave_no_growing_heap():
    """However often deadlines move, the heap stays in proportion to the accounts."""
    roster, rng = Roster(), Random(1)
    entries = [roster.add(account(str(n))) for n in range(10)]
    for _ in range(5_000):
        roster.schedule(rng.choice(entries), rng.choice([None, 1e6 * rng.random()]))
    assert len(roster._heap) <= 2 * 10 + 64 + 1
    expected = sorted(entry.due_at for entry in entries if entry.due_at is not None)
    found = []
    while (entry := roster.pop_due(now=1e9)) is not None:
        found.append(entry)
    assert len(found) == len(expected)


def test_a_new_generation_starts_with_a_clean_record():
    """What happened to an older credential says nothing about the new one."""
    entry = Roster().add(account(generation=1))
    entry.failures = entry.unknowns = 3
    entry.not_before, entry.refused = 1e12, True
    entry.adopt(account(generation=2, renewable=False))
    assert (entry.failures, entry.unknowns, entry.not_before, entry.refused) == (0, 0, 0.0, False)
    assert entry.generation == 2
    assert not entry.renewable
