"""What is due rings once, at its latest moment, and the heap stays small."""

from math import inf
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from app.pool import alarms
from app.pool.alarms import Alarms

keys = st.sampled_from("abcd")
moments = st.integers(0, 9).map(float)


def test_a_key_rings_when_it_is_due_and_not_again():
    """The earliest first; of equal moments the lower key."""
    found: Alarms[str] = Alarms()
    for key, at in (("late", 9.0), ("b", 2.0), ("a", 2.0)):
        found.set(key, at)
    assert found.soonest == 2.0
    assert found.ring(1.9) is None
    assert [found.ring(2.0), found.ring(2.0), found.ring(2.0)] == ["a", "b", None]
    assert (len(found), found.soonest, found.get("late"), found.get("a")) == (1, 9.0, 9.0, None)


def test_a_key_that_was_moved_rings_at_its_new_moment_only():
    """Later or earlier than before."""
    found: Alarms[str] = Alarms()
    found.set("k", 5.0)
    found.set("k", 8.0)
    assert found.ring(7.0) is None
    found.set("k", 3.0)
    assert found.ring(3.0) == "k"
    assert found.ring(9.0) is None


def test_a_key_that_was_dropped_never_rings():
    """And dropping it again is nothing."""
    found: Alarms[str] = Alarms()
    found.set("k", 5.0)
    found.drop("k")
    found.drop("k")
    assert found.ring(9.0) is None
    assert found.next_at() is None
    assert found.soonest == inf


def test_the_next_moment_passes_over_what_is_excluded():
    """Which is as it was afterwards."""
    found: Alarms[str] = Alarms()
    for key, at in (("a", 1.0), ("b", 2.0), ("c", 3.0)):
        found.set(key, at)
    assert found.next_at() == 1.0
    assert found.next_at({"a", "b"}) == 3.0
    assert found.next_at({"a", "b", "c"}) is None
    assert [found.ring(9.0), found.ring(9.0), found.ring(9.0)] == ["a", "b", "c"]


def test_entries_left_behind_are_swept_out_at_once_and_rarely():
    """Only when they outnumber the keys by more than the slack; the earliest rings first."""
    found: Alarms[str] = Alarms()
    found.set("late", 9_000.0)
    for at in range(2 * 2 + 64 - 1):
        found.set("early", float(at))
    assert len(found._heap) == 2 * 2 + 64
    found.set("early", 5_000.0)
    assert len(found._heap) == 2
    assert found.next_at() == 5_000.0
    assert [found.ring(1e9), found.ring(1e9), found.ring(1e9)] == ["early", "late", None]


def test_what_is_dropped_is_swept_out():
    """Even if nothing ever rings."""
    found: Alarms[str] = Alarms()
    for number in range(200):
        found.set(str(number), 1.0 + number)
    for number in range(200):
        found.drop(str(number))
    assert len(found._heap) <= 64


@patch.object(alarms, "SLACK", 2)
@given(
    steps=st.lists(
        st.tuples(st.just("set"), keys, moments)
        | st.tuples(st.just("drop"), keys, st.just(0.0))
        | st.tuples(st.just("ring"), keys, moments)
        | st.tuples(st.just("set all"), keys, moments)
    )
)
def test_it_rings_as_a_plain_table_would(steps):
    """Whatever was set and dropped before, and with a heap that is never much larger."""
    found: Alarms[str] = Alarms()
    plain: dict[str, float] = {}
    for what, key, at in steps:
        match what:
            case "set":
                found.set(key, at)
                plain[key] = at
            case "set all":
                for number in range(30):
                    found.set(key, at + number)
                found.set(key, at)
                plain[key] = at
            case "drop":
                found.drop(key)
                plain.pop(key, None)
            case _:
                due = min((moment, name) for name, moment in [*plain.items(), ("z", inf)])
                expected = due[1] if due[0] <= at else None
                assert found.ring(at) == expected
                plain.pop(expected, None)
        assert dict(found.items()) == plain
        assert found.soonest <= min(plain.values(), default=inf)
        assert found.next_at({key}) == min(
            (moment for name, moment in plain.items() if name != key), default=None
        )
        assert len(found._heap) <= 2 * len(found) + alarms.SLACK + 1
