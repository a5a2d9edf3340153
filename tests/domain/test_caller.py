"""What a caller's key allows."""

from app.domain.caller import Caller, KeyId


def test_a_key_without_a_list_may_use_every_model():
    """An empty list means all."""
    assert Caller(KeyId("k"), "k").may_use("anything")


def test_a_key_with_a_list_may_use_what_is_on_it():
    """The list is exact."""
    caller = Caller(KeyId("k"), "k", models=("a",))
    assert caller.may_use("a")
    assert not caller.may_use("ab")
