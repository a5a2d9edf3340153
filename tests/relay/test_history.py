"""Tests of app.relay.history."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.caller import KeyId
from app.domain.conversation import NODE_BYTES, Conversation, own_size
from app.errors import ContextUnavailable
from app.limits import Limits
from app.ports import SharedUnavailable
from app.relay.history import WAITS_S, MemoryHistory, SharedHistory, history_bounds
from tests.fakes.clock import FakeClock
from tests.fakes.history import memory_history

ANN, BOB = KeyId("ann"), KeyId("bob")


def turn(name: str, *, after: Conversation | None = None, size: int = 0, stored: bool = True):
    """Return a conversation whose last turn takes `size` bytes beside what every turn takes."""
    said, output = b"x" * size, (b'{"of":"%b"}' % name.encode(),)
    whole = own_size(said, output) + (after.size if after else 0)
    return Conversation(name, said, output, (f"item-{name}",), after, stored, size=whole)


async def recall(history: MemoryHistory, key: KeyId, name: str) -> Conversation | None:
    """Return what a caller's history knows."""
    return await history.recall(key, name)


async def test_a_conversation_is_found_by_its_caller_and_by_nobody_else() -> None:
    """Under its response's id."""
    history, kept = memory_history(), turn("r1")
    history.record(ANN, kept)
    assert await recall(history, ANN, "r1") is kept
    assert await recall(history, BOB, "r1") is None
    assert await recall(history, ANN, "r2") is None


async def test_an_item_is_found_by_its_id_and_its_caller() -> None:
    """As it was answered, until its conversation is forgotten."""
    clock = FakeClock()
    history = memory_history(clock, ttl_s=10)
    history.record(ANN, turn("r1"))
    assert await history.item(ANN, "item-r1") == b'{"of":"r1"}'
    assert (await history.item(BOB, "item-r1")) is None
    assert (await history.item(ANN, "item-r2")) is None
    await clock.advance(10)
    assert await history.item(ANN, "item-r1") is None
    assert (len(history), history.size) == (0, 0)


async def test_what_is_not_to_be_stored_is_not() -> None:
    """`store: false` is a promise."""
    history = memory_history()
    history.record(ANN, turn("r1", stored=False))
    assert (await recall(history, ANN, "r1"), history.size) == (None, 0)


async def test_a_conversation_that_is_too_long_is_not_kept() -> None:
    """Rather than to drive out all the others."""
    history = memory_history(conversation_bytes_max=NODE_BYTES + 100)
    history.record(ANN, turn("r1", size=101))
    history.record(ANN, turn("r2", size=20))
    assert (await recall(history, ANN, "r1"), len(history)) == (None, 1)
    assert history.conversation_bytes_max == NODE_BYTES + 100


async def test_a_conversation_lasts_as_long_as_somebody_goes_on_with_it() -> None:
    """Its time begins anew each time that it is asked for."""
    clock = FakeClock()
    history = memory_history(clock, ttl_s=10)
    history.record(ANN, turn("r1"))
    for _ in range(3):
        await clock.advance(9)
        assert await recall(history, ANN, "r1")
    await clock.advance(10)
    assert await recall(history, ANN, "r1") is None


async def test_what_is_over_goes_when_something_comes() -> None:
    """Even if nobody asks for it."""
    clock = FakeClock()
    history = memory_history(clock, ttl_s=10)
    history.record(ANN, turn("r1"))
    await clock.advance(10)
    history.record(BOB, turn("r2"))
    assert len(history) == 1


async def test_turns_are_counted_once_and_outlive_their_name() -> None:
    """A conversation is whole as long as it is known, whatever became of its beginning."""
    room = 3 * NODE_BYTES + 100
    history = memory_history(bytes_max=room, key_bytes_max=room)
    first = turn("r1")
    second = turn("r2", after=first)
    history.record(ANN, first)
    history.record(ANN, second)
    assert history.size == second.size
    history.record(ANN, turn("r3", size=60))
    history.record(ANN, turn("r4"))
    assert await recall(history, ANN, "r1") is None
    found = await recall(history, ANN, "r2")
    assert found is None or found.turns() == [first, second]
    assert history.size <= room


async def test_who_fills_his_share_drives_out_his_own() -> None:
    """The others keep theirs."""
    history = memory_history(key_bytes_max=2 * NODE_BYTES + 100)
    history.record(BOB, turn("b"))
    for name in ("r1", "r2", "r3"):
        history.record(ANN, turn(name))
    assert [bool(history.known(ANN, name)) for name in ("r1", "r2", "r3")] == [False, True, True]
    assert await recall(history, BOB, "b")


async def test_what_was_used_longest_ago_goes_first() -> None:
    """Of all callers, once there is no room at all."""
    history = memory_history(bytes_max=2 * NODE_BYTES + 100)
    history.record(ANN, turn("r1"))
    history.record(BOB, turn("r2"))
    assert await recall(history, ANN, "r1")
    history.record(ANN, turn("r3"))
    assert await recall(history, ANN, "r1")
    assert await recall(history, BOB, "r2") is None


async def test_a_response_that_comes_again_is_kept_once() -> None:
    """The later one counts."""
    history, again = memory_history(), turn("r1")
    history.record(ANN, turn("r1", size=50))
    history.record(ANN, again)
    assert (await recall(history, ANN, "r1"), history.size) == (again, again.size)


def test_the_bounds_are_the_limits() -> None:
    """And a worker's history keeps no more than callers want stored."""
    bounds = history_bounds(Limits())
    assert bounds.conversation_bytes_max <= bounds.key_bytes_max <= bounds.bytes_max
    assert not memory_history().everything


@given(st.lists(st.tuples(st.sampled_from([ANN, BOB]), st.integers(0, 9), st.integers(-1, 9)),
                max_size=60))  # fmt: skip
def test_it_counts_what_it_holds(steps) -> None:
    """However conversations branch, come again and go."""
    history = memory_history(bytes_max=6 * NODE_BYTES, key_bytes_max=4 * NODE_BYTES)
    for key, name, before in steps:
        past = history.known(key, f"r{before}")
        history.record(key, turn(f"r{name}", after=past, size=name * 10))
        held = {
            (owner, part)
            for owner in (ANN, BOB)
            for number in range(10)
            for part in (_kept(history, owner, f"r{number}") or _NOTHING)
        }
        assert history.size == sum(part.own_size for _, part in held) <= 6 * NODE_BYTES
        for owner in (ANN, BOB):
            assert sum(p.own_size for o, p in held if o == owner) <= 4 * NODE_BYTES


_NOTHING: list[Conversation] = []


def _kept(history: MemoryHistory, key: KeyId, name: str) -> list[Conversation]:
    kept = history._kept.get((key, name))
    return kept.conversation.turns() if kept else []


@pytest.mark.parametrize("size", [0, 1])
def test_a_turn_takes_room_even_if_nothing_was_said(size) -> None:
    """So that many small ones are bounded too."""
    assert turn("r", size=size).own_size == NODE_BYTES + size + len(b'{"of":"r"}')


class Store:
    """What other workers know; `answers` are given one after the other."""

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)
        self.kept: list[str] = []
        self.asked = 0

    def keep(self, _caller_id: KeyId, conversation: Conversation) -> None:
        """Note its name."""
        self.kept.append(conversation.response_id)

    async def find(self, _caller_id: KeyId, _response_id: str) -> Conversation | None:
        """Give the next answer."""
        self.asked += 1
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        return answer

    find_item = find


def shared(store: Store) -> SharedHistory:
    """Return a worker's history with others behind it, for which nobody waits in a test."""

    async def sleep(seconds: float) -> None:
        assert seconds in WAITS_S

    return SharedHistory(memory_history(), store, sleep=sleep)


async def test_what_is_known_here_is_asked_of_nobody() -> None:
    """And what is recorded here is told to the others."""
    store = Store()
    history, kept = shared(store), turn("r1")
    history.record(ANN, kept)
    assert await history.recall(ANN, "r1") is kept
    assert await history.item(ANN, "item-r1") is not None
    assert (store.asked, store.kept) == (0, ["r1"])


async def test_what_another_worker_knows_is_known_here_from_then_on() -> None:
    """Even if it is still on its way when it is asked for."""
    late = turn("r1")
    store = Store(None, None, late)
    history = shared(store)
    assert await history.recall(ANN, "r1") is late
    assert await history.recall(ANN, "r1") is late
    assert store.asked == 3
    assert store.kept == []


async def test_what_nobody_knows_is_a_miss() -> None:
    """After it was asked for often enough."""
    store = Store()
    history = shared(store)
    assert await history.recall(ANN, "r1") is None
    assert await history.item(ANN, "item") is None
    assert store.asked == 2 * (len(WAITS_S) + 1)


async def test_others_that_can_not_be_asked_are_no_miss() -> None:
    """The caller may try again."""
    for ask in (
        shared(Store(SharedUnavailable("x"))).recall,
        shared(Store(SharedUnavailable())).item,
    ):
        with pytest.raises(ContextUnavailable) as caught:
            await ask(ANN, "r1")
        assert caught.value.retry_after_s


async def test_what_is_not_to_be_stored_or_too_long_is_told_to_nobody() -> None:
    """It stays where it was said."""
    store = Store()
    history = shared(store)
    history.record(ANN, turn("r1", stored=False))
    history.record(ANN, turn("r2", size=history.conversation_bytes_max))
    assert store.kept == []
    assert not history.everything
