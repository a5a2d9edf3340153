"""The line: keys take turns, each key's calls keep their order, and nobody fills it alone."""

from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.relay.line import KEY_PLACES_MIN, RETURNING_TRIES, Demand, Line, Queue, Waiter
from tests.fakes.accounts import call

PLAIN = Demand("m1", (), ())


def waiter(
    key: str = "k", *, excluding: str = "", deadline: float = 9.0, demand: Demand = PLAIN
) -> Waiter:
    """Return a call that may join."""
    granted = Mock()
    granted.done.return_value = False
    return Waiter(call(caller_id=key), demand, frozenset(excluding), deadline, granted)


def joined(line: Line, *waiters: Waiter) -> list[Waiter]:
    """Let them stand in line, each in the queue for what it asks."""
    for each in waiters:
        queue = line.join(each)
        assert queue.demand == each.demand
        assert queue in line.queues
    return list(waiters)


def served(line: Line, count: int) -> list[Waiter]:
    """Serve the first queue, time and again; return who was served."""
    gone = []
    for _ in range(count):
        first = next(line.queues[0].candidates())
        line.leave(first, served=True)
        gone.append(first)
    return gone


def test_a_call_of_another_key_waits_for_one_turn_only():
    """However many calls stand before it."""
    line = Line(places_max=1_000)
    many = joined(line, *(waiter("many") for _ in range(500)))
    [one] = joined(line, waiter("one"))
    assert served(line, 3) == [many[0], one, many[1]]


def test_keys_take_turns_and_keep_their_order():
    """A key that joins goes behind those that wait."""
    line = Line(places_max=100)
    a = joined(line, *(waiter("a") for _ in range(3)))
    b = joined(line, *(waiter("b") for _ in range(2)))
    assert served(line, 1) == [a[0]]
    c = joined(line, waiter("c"))
    assert served(line, 5) == [b[0], a[1], c[0], b[1], a[2]]
    assert len(line) == 0
    assert line.queues == ()


def test_the_same_key_with_another_demand_stands_in_another_queue():
    """The queue that was served goes behind the others."""
    line = Line(places_max=100)
    other = Demand("m1", ("vip",), ())
    joined(line, waiter(), waiter(), waiter(demand=other))
    assert [queue.demand for queue in line.queues] == [PLAIN, other]
    served(line, 1)
    assert [(queue.demand, len(queue)) for queue in line.queues] == [(other, 1), (PLAIN, 1)]


def test_who_comes_back_goes_before_its_keys_fresh_calls():
    """And after them, those of other keys are tried; the first fresh call is the last word."""
    line = Line(places_max=100)
    fresh = joined(line, waiter("a"), waiter("a"))
    back = joined(line, *(waiter("a", excluding="x") for _ in range(RETURNING_TRIES + 2)))
    only_back = joined(line, waiter("b", excluding="y"))
    assert RETURNING_TRIES == 4
    assert list(line.queues[0].candidates()) == [*back[:RETURNING_TRIES], fresh[0]]
    for each in fresh:
        line.leave(each)
    assert list(line.queues[0].candidates()) == [*back[:RETURNING_TRIES], *only_back]


def test_who_has_just_been_cancelled_is_passed_over():
    """Its task has not run yet."""
    line = Line(places_max=100)
    first, second, back = joined(line, waiter(), waiter(), waiter(excluding="x"))
    first.granted.done.return_value = back.granted.done.return_value = True
    assert list(line.queues[0].candidates()) == [second]
    second.granted.done.return_value = True
    assert list(line.queues[0].candidates()) == []


def test_leaving_twice_is_leaving_once():
    """Whoever serves takes it out, and so does the task that waited."""
    line = Line(places_max=100)
    one, two = joined(line, waiter(), waiter())
    line.leave(one, served=True)
    line.leave(one)
    assert len(line) == 1
    line.leave(two)
    line.leave(two)
    assert (len(line), line.queues) == (0, ())


@pytest.mark.parametrize(("places_max", "alone"), [(2, 2), (10, 10), (20, 10), (100, 50)])
def test_one_key_fills_half_of_a_long_line(places_max, alone):
    """A short one it may have for itself."""
    line = Line(places_max=places_max)
    while line.has_place("a"):
        line.join(waiter("a"))
    assert len(line) == alone
    assert line.has_place("b") == (alone < places_max)


def test_who_leaves_gives_its_place_back():
    """To its key as to others; of a key that is gone nothing is kept."""
    line = Line(places_max=20)
    gone = joined(line, *(waiter("a") for _ in range(10)))
    assert not line.has_place("a")
    line.leave(gone.pop())
    assert line.has_place("a")
    for each in gone:
        line.leave(each, served=True)
    assert line._of_key == {}


def test_deadlines_stay_in_order_when_they_are_swept():
    """And those who wait stay in line."""
    queue = Queue(PLAIN)
    for number, deadline in enumerate((9.0, 5.0, 7.0), 1):
        each = waiter(deadline=deadline)
        each.number = number
        queue.add(each)
    for number in range(4, 4 + 200):
        each = waiter(deadline=99.0)
        each.number = number
        queue.add(each)
        queue.remove(each)
    assert len(queue._deadlines) <= 2 * 4 + 64 + 1
    overdue = []
    for each in queue.overdue(9.0):
        overdue.append(each.deadline)
        queue.remove(each)
    assert overdue == [5.0, 7.0]
    assert queue.deadline == 9.0


@given(keys=st.lists(st.integers(0, 5).map(str), max_size=200))
def test_greedy_keys_leave_a_place_for_a_new_one(keys):
    """And nobody gets in past the bound."""
    line = Line(places_max=80)
    count = dict.fromkeys(keys, 0)
    for key in keys:
        if line.has_place(key):
            count[key] += 1
            line.join(waiter(key))
    assert len(line) == sum(count.values()) <= 80
    if len(count) < 5:
        assert line.has_place("new")
    for key, number in count.items():
        assert number >= min(KEY_PLACES_MIN, keys.count(key)) or len(line) == 80


@given(
    steps=st.lists(
        st.tuples(st.booleans(), st.integers(0, 30), st.integers(0, 3).map(str)), max_size=150
    )
)
def test_deadlines_come_in_their_order(steps):
    """Whoever leaves, and however many have left."""
    queue = Queue(PLAIN)
    inside: dict[int, Waiter] = {}
    for number, (coming, deadline, key) in enumerate(steps, 1):
        if coming or not inside:
            each = waiter(key, deadline=float(deadline))
            each.number = number
            queue.add(each)
            inside[number] = each
        else:
            gone = inside.pop(list(inside)[deadline % len(inside)])
            assert queue.remove(gone)
            assert not queue.remove(gone)
        assert len(queue) == len(inside)
        if inside:
            assert queue.deadline == min(each.deadline for each in inside.values())
            assert queue.any in inside.values()
    overdue = []
    for each in queue.overdue(15.0):
        overdue.append(each.deadline)
        queue.remove(each)
        del inside[each.number]
    assert overdue == sorted(overdue)
    assert all(deadline < 15.0 for deadline in overdue)
    assert all(each.deadline >= 15.0 for each in inside.values())


def test_deadlines_of_those_who_left_are_swept_out():
    """A thousand calls that come and go leave little behind, and are seldom swept."""
    queue, sizes = Queue(PLAIN), []
    for number in range(1, 1_001):
        each = waiter()
        each.number = number
        queue.add(each)
        sizes.append(len(queue._deadlines))
        queue.remove(each)
    assert queue.not_before is None
    assert max(sizes) == 2 * 1 + 64 + 1
    assert queue._turns == {}


def test_a_turn_of_a_key_that_has_gone_means_nothing():
    """Its last call was the one that was served."""
    queue = Queue(PLAIN)
    queue.took_turn("nobody")
    assert list(queue.candidates()) == []
