"""Tool calls are said one after another, whole, and in the order of their announcement."""

from hypothesis import given
from hypothesis import strategies as st

from app.dialects.chat import turns
from app.dialects.chat.turns import Turns


def test_a_call_waits_for_the_one_that_speaks():
    """What comes between the pieces of another call is said once that one is done."""
    order = Turns()
    assert list(order.say(0, b"a")) == [b"a"]
    assert list(order.say(1, b"x")) == []
    assert list(order.say(0, b"b")) == [b"b"]
    assert list(order.done(0)) == [b"x"]
    assert list(order.say(1, b"y")) == [b"y"]


def test_calls_that_are_done_while_they_wait_follow_at_once():
    """A call that has said everything before its turn does not hold up the next one."""
    order = Turns()
    assert list(order.say(2, b"z")) == []
    assert list(order.say(1, b"x")) == []
    assert list(order.done(1)) == []
    assert list(order.done(0)) == [b"x", b"z"]


def test_the_end_of_the_reply_lets_everybody_speak():
    """A call that is never done holds nobody up for ever."""
    order = Turns()
    assert list(order.say(1, b"x")) == []
    assert list(order.say(2, b"z")) == []
    assert list(order.rest()) == [b"x", b"z"]
    assert list(order.say(3, b"late")) == [b"late"]


def test_what_waits_is_bounded(monkeypatch):
    """Past the bound everything is said as it comes, rather than held."""
    monkeypatch.setattr(turns, "HELD_BYTES_MAX", 3)
    order = Turns()
    assert list(order.say(1, b"abc")) == []
    assert list(order.say(2, b"d")) == [b"abc", b"d"]
    assert list(order.say(2, b"e")) == [b"e"]


@given(st.lists(st.tuples(st.integers(0, 4), st.binary(max_size=3)), max_size=40), st.data())
def test_nothing_is_lost_or_mixed(pieces, data):
    """However pieces and ends come, every piece of a call comes out, in order."""
    order, said = Turns(), []
    for number, piece in pieces:
        said += order.say(number, b"%d" % number + piece)
        if data.draw(st.booleans()):
            said += order.done(data.draw(st.integers(0, 4)))
    said += order.rest()
    for number in range(5):
        mine = [b"%d" % number + piece for of, piece in pieces if of == number]
        assert [piece for piece in said if piece.startswith(b"%d" % number)] == mine
