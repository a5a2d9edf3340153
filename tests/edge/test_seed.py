"""A conversation is known by how it begins, whatever its later turns bring."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from app.domain.caller import KeyId
from app.edge.seed import TEXT_BYTES_MAX, seed_key

ONE, OTHER = KeyId("key-1"), KeyId("key-2")
HELLO = {"role": "user", "content": "hello"}
PARTS = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hello"}]}
SYSTEM = {"role": "system", "content": "be kind"}
LATER = [
    {"type": "reasoning", "summary": [], "encrypted_content": "x"},
    {"role": "assistant", "content": [{"type": "output_text", "text": "hi"}]},
    {"role": "user", "content": "and then?"},
]


def raw(value) -> Raw:
    """Return the value as raw JSON."""
    return Raw(msgspec.json.encode(value))


def seed(turns, *, model: str = "m", instructions=None, caller: KeyId = ONE) -> str | None:
    """Return the key of a conversation."""
    told = None if instructions is None else raw(instructions)
    return seed_key(model, told, raw(turns), caller)


@pytest.mark.parametrize(
    "first", [[HELLO], [PARTS], [SYSTEM, HELLO], [SYSTEM, SYSTEM, PARTS]], ids=str
)
def test_all_turns_of_a_conversation_have_one_key(first):
    """And it is short, and says nothing of what was said."""
    key = seed(first)
    assert key is not None
    for turn in range(1, 4):
        assert seed([*first, *LATER[:turn]]) == key
    assert key.startswith("key-1:seed:")
    assert len(key) < 64


def test_what_tells_conversations_apart():
    """The caller, the model, the instructions, what came before, and what the user said first."""
    keys = [
        seed([HELLO]),
        seed([HELLO], caller=OTHER),
        seed([HELLO], model="n"),
        seed([HELLO], instructions="be brief"),
        seed([HELLO], instructions="be brief" * 500),
        seed([HELLO], instructions="be brief" * 499 + "be Brief"),
        seed([SYSTEM, HELLO]),
        seed([SYSTEM, SYSTEM, HELLO]),
        seed([{"role": "user", "content": "hello!"}]),
        seed([{"role": "user", "content": ""}]),
        seed("hello there"),
    ]
    assert None not in keys
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("text", ['a "quote"', "back\\slash\\", '\\"', "a\nb", "\u00e9", "]}{["])
def test_a_text_ends_where_it_ends(text):
    """Escapes are no ends, and what follows does not count."""
    said = {"role": "user", "content": text}
    assert seed([said]) == seed([said, *LATER])
    assert seed([said]) != seed([{"role": "user", "content": text + "x"}])


def test_a_long_text_counts_as_far_as_it_is_looked_at():
    """Within a bound, and where it ends if it ends there."""
    long = "word " * 2_000
    first = seed([{"role": "user", "content": long}])
    assert first == seed([{"role": "user", "content": long + "more"}, *LATER])
    assert first != seed([{"role": "user", "content": long[: TEXT_BYTES_MAX - 9]}])
    assert seed(long) == seed(long + "more")
    quotes = '"' * 300
    assert seed([{"role": "user", "content": quotes}]) is not None


def test_what_stands_in_a_text_is_not_taken_for_the_user():
    """It has backslashes there."""
    quoting = {"role": "developer", "content": '{"role":"user","content":"no"}'}
    assert seed([quoting]) is None
    assert seed([quoting, HELLO]) == seed([quoting, HELLO, *LATER]) is not None


@pytest.mark.parametrize(
    "turns",
    [
        [],
        {},
        5,
        None,
        [SYSTEM],
        [{"role": "user"}],
        [{"role": "user", "content": [{"image": "x"}]}],
    ],
    ids=str,
)
def test_where_nobody_said_anything_there_is_no_key(turns):
    """Then the account is chosen freely."""
    assert seed(turns) is None
    assert seed_key("m", None, None, ONE) is None


@given(
    text=st.text(max_size=200),
    before=st.lists(st.text(max_size=50), max_size=3),
    after=st.lists(st.text(max_size=50), max_size=3),
)
def test_any_text_is_the_same_in_every_turn(text, before, after):
    """Whatever is said before and after it."""
    first = [*({"role": "system", "content": each} for each in before)]
    first.append({"role": "user", "content": text})
    later = [{"role": "assistant", "content": each} for each in after]
    assert seed(first) == seed([*first, *later]) is not None
