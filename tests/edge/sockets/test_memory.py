"""Tests of app.edge.sockets.memory."""

from app.domain.caller import KeyId
from app.domain.conversation import Conversation, own_size
from app.edge.sockets.memory import Memories
from tests.fakes.history import memory_history

ANN = KeyId("ann")


def turn(name: str, *, after: Conversation | None = None, size: int = 0, stored: bool = True):
    """Return a conversation whose last turn takes `size` bytes beside what every turn takes."""
    said, output = b"x" * size, (b'{"of":"%b"}' % name.encode(),)
    whole = own_size(said, output) + (after.size if after else 0)
    return Conversation(
        name, said, output, ids=(f"item-{name}",), previous=after, stored=stored, size=whole
    )


async def test_a_connection_remembers_its_latest_response_whatever_its_caller_stores() -> None:
    """And no other connection does; nor does the history that all share."""
    memories = Memories(memory_history(), bytes_max=100_000)
    mine, other = memories.open(), memories.open()
    first = turn("r1", stored=False)
    mine.record(ANN, first)
    assert mine.everything
    assert await mine.recall(ANN, "r1") is first
    assert await mine.item(ANN, "item-r1") == b'{"of":"r1"}'
    assert await other.recall(ANN, "r1") is None
    assert await other.item(ANN, "item-r1") is None
    mine.record(ANN, turn("r2", after=first, stored=False))
    assert await mine.recall(ANN, "r1") is None
    assert await mine.item(ANN, "item-r1") == b'{"of":"r1"}'
    assert await mine.item(ANN, "item-r9") is None


async def test_what_is_to_be_stored_is_known_to_all() -> None:
    """Also when the connection is over."""
    memories = Memories(memory_history(), bytes_max=100_000)
    mine = memories.open()
    kept = turn("r1")
    mine.record(ANN, kept)
    mine.close()
    assert memories.size == 0
    assert await memories.open().recall(ANN, "r1") is kept


async def test_all_connections_together_remember_so_many_bytes() -> None:
    """The one that was used longest ago forgets first; what is too long is not remembered."""
    memories = Memories(memory_history(), bytes_max=5_000)
    first, second, third = (memories.open() for _ in range(3))
    for memory, name in ((first, "a"), (second, "b")):
        memory.record(ANN, turn(name, size=1_500, stored=False))
    assert await first.recall(ANN, "a") is not None
    third.record(ANN, turn("c", size=1_500, stored=False))
    assert await second.recall(ANN, "b") is None
    assert await first.recall(ANN, "a") is not None
    first.record(ANN, turn("d", size=6_000, stored=False))
    assert await first.recall(ANN, "a") is None
    assert await first.recall(ANN, "d") is None
    third.close()
    assert memories.size == 0
    assert first.conversation_bytes_max == memories.shared.conversation_bytes_max
