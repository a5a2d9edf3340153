"""Tests of app.domain.conversation."""

from app.domain.conversation import NODE_BYTES, Conversation, own_size


def test_a_conversation_is_its_turns_in_order() -> None:
    """What was said and what was answered, the oldest first; nothing where nothing was said."""
    first = Conversation("r1", b"1,2", (b"3",))
    second = Conversation("r2", b"", (), previous=first)
    third = Conversation("r3", b"4", (b"5", b"6"), previous=second)
    assert third.turns() == [first, second, third]
    assert third.items() == b"1,2,3,4,5,6"


def test_conversations_are_told_apart_by_being() -> None:
    """They are shared, so two alike are still two."""
    assert Conversation("r", b"", ()) != Conversation("r", b"", ())
    assert len({Conversation("r", b"", ()), Conversation("r", b"", ())}) == 2


def test_a_turn_takes_what_was_said_in_it() -> None:
    """And something for being there."""
    assert Conversation("r", b"12", (b"3", b"45")).own_size == NODE_BYTES + 5
    assert own_size(b"", ()) == NODE_BYTES
