"""Tests of app.accounts.roster."""

from random import Random

import pytest

from app.accounts.roster import Entry, Roster, Urgency
from tests.fakes.credential_store import account


def test_a_new_entry_has_a_clean_record():
    """No deadline, no failure, nothing that a renewal would have to wait for."""
    row = account(generation=3)
    entry = Entry(row)
    record = (entry.due_at, entry.not_before, entry.failures, entry.unknowns, entry.refused)
    assert record == (None, 0.0, 0, 0, False)
    assert (entry.account, entry.generation, entry.renewable) == (row, 3, True)


def test_the_longest_overdue_comes_first():
    """Deadlines are taken in their order, and none before its time."""
    roster = Roster()
    for name, due_at in [("a", 30.0), ("b", 10.0), ("c", 20.0)]:
        roster.schedule(roster.add(account(name)), due_at)
    due = [roster.pop_due(now=25.0) for _ in range(3)]
    assert [entry and entry.account.id for entry in due] == ["b", "c", None]
    assert roster.next_due_at() == 30.0
    assert due[0].due_at is None


def test_what_has_most_to_lose_comes_first():
    """Refused ones, then those that still serve by their end, then those that did, then new."""
    roster = Roster()
    rows = {
        "new": account("new", access_token="", expires_at=0.0),
        "newer": account("newer", access_token="", expires_at=0.0),
        "ends later": account("ends later", expires_at=500.0),
        "ends sooner": account("ends sooner", expires_at=400.0),
        "ended": account("ended", expires_at=50.0),
        "refused": account("refused", expires_at=9_000.0),
    }
    for due_at, row in enumerate(rows.values()):
        entry = roster.add(row)
        entry.refused = row.id == "refused"
        roster.schedule(entry, float(due_at))
    found = []
    while (entry := roster.pop_due(now=100.0)) is not None:
        found.append(entry.account.id)
    assert found == ["refused", "ends sooner", "ends later", "ended", "new", "newer"]


@pytest.mark.parametrize("due_at", [None, 7.0])
def test_a_credential_without_an_end_is_ordered_by_its_deadline(due_at):
    """There is no end to order it by."""
    entry = Roster().add(account())
    entry.due_at = due_at
    assert entry.urgency(now=100.0) == (Urgency.SERVING, due_at or 0.0)


@pytest.mark.parametrize(
    ("now", "urgency"),
    [
        (99.0, (Urgency.SERVING, 100.0)),
        (100.0, (Urgency.EXPIRED, 7.0)),
        (101.0, (Urgency.EXPIRED, 7.0)),
    ],
)
def test_a_credential_serves_until_the_moment_it_ends(now, urgency):
    """From that moment on there is nothing to lose by being late."""
    entry = Roster().add(account(expires_at=100.0))
    entry.due_at = 7.0
    assert entry.urgency(now=now) == urgency


def test_a_refused_credential_goes_before_one_that_serves_without_an_end():
    """However long the other one has been due."""
    roster = Roster()
    endless, refused = roster.add(account("endless")), roster.add(account("refused"))
    refused.refused = True
    roster.schedule(endless, 1.0)
    roster.schedule(refused, 50.0)
    assert roster.pop_due(now=60.0) is refused
    assert roster.pop_due(now=60.0) is endless


def test_what_is_due_again_is_ranked_anew():
    """Even if its deadline is the same moment: what it had to lose may be lost by now."""
    roster = Roster()
    ended, serving = roster.add(account("a", expires_at=100.0)), account("b", expires_at=300.0)
    roster.schedule(ended, 1.0)
    assert roster.pop_due(now=5.0) is ended
    roster.schedule(ended, 1.0)
    roster.schedule(roster.add(serving), 1.0)
    assert roster.pop_due(now=200.0) is roster.get(serving.id)
    assert roster.pop_due(now=200.0) is ended
    assert roster.pop_due(now=200.0) is None


def test_what_falls_due_later_can_still_go_first():
    """A backlog of imports never stands before an account that is about to end."""
    roster = Roster()
    for number in range(100):
        roster.schedule(roster.add(account(f"new-{number}", access_token="")), 0.0)
    live = roster.add(account("live", expires_at=60.0))
    roster.schedule(live, 30.0)
    assert roster.pop_due(now=10.0).account.id.startswith("new-")
    assert roster.pop_due(now=30.0) is live
    assert roster.next_due_at() == 0.0


def test_a_deadline_that_is_moved_when_it_is_due_passes_over():
    """What is due has been put in order by then; a change still counts."""
    roster = Roster()
    entries = [roster.add(account(name)) for name in ("a", "moved", "cleared", "gone")]
    for entry in entries:
        roster.schedule(entry, 1.0)
    assert roster.pop_due(now=5.0) is entries[0]
    roster.schedule(entries[1], 50.0)
    roster.schedule(entries[2], None)
    roster.remove(entries[3].account.id)
    assert roster.next_due_at() == 50.0
    assert roster.pop_due(now=5.0) is None
    assert roster.pop_due(now=50.0) is entries[1]


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
    for _ in range(5_000):
        roster.schedule(rng.choice(entries), rng.random())
        entry = roster.pop_due(now=1.0)
        roster.schedule(entry, rng.random())
    assert len(roster._heap) + len(roster._due) <= 2 * 10 + 64 + 1
    expected = sorted(entry.due_at for entry in entries if entry.due_at is not None)
    found = []
    while (entry := roster.pop_due(now=1e9)) is not None:
        found.append(entry)
    assert len(found) == len(expected)


def test_moved_deadlines_are_swept_out_at_once_and_rarely():
    """Only when they outnumber the accounts by more than the slack; the earliest stays first."""
    roster = Roster()
    late, idle, early = (roster.add(account(name)) for name in ("late", "idle", "early"))
    roster.schedule(late, 9_000.0)
    for due_at in range(2 * 3 + 64 - 1):
        roster.schedule(early, float(due_at))
    assert len(roster._heap) == 2 * 3 + 64
    roster.schedule(early, 5_000.0)
    assert len(roster._heap) == 2
    assert roster.next_due_at() == 5_000.0
    assert [roster.pop_due(now=1e9) for _ in range(3)] == [early, late, None]
    assert idle.due_at is None


def test_a_new_generation_starts_with_a_clean_record():
    """What happened to an older credential says nothing about the new one."""
    entry = Roster().add(account(generation=1))
    entry.failures = entry.unknowns = 3
    entry.not_before, entry.refused = 1e12, True
    entry.adopt(account(generation=2, renewable=False))
    assert (entry.failures, entry.unknowns, entry.not_before, entry.refused) == (0, 0, 0.0, False)
    assert entry.generation == 2
    assert not entry.renewable
