"""Tests of app.compose.history."""

import pytest
from redis.asyncio import Redis

from app.compose.history import KeyringSealer, Remembering
from app.limits import Limits
from app.relay.history import MemoryHistory, SharedHistory
from app.store.keyring import Keyring
from tests.fakes.clock import FakeClock

RING = Keyring(["k" * 40])


def test_what_is_sealed_opens_under_its_name_only() -> None:
    """And with its key only."""
    sealer = KeyringSealer(RING)
    record = sealer.seal("Grüße".encode(), "a")
    assert sealer.open(record, "a") == "Grüße".encode()
    assert sealer.open(record, "b") is None
    assert KeyringSealer(Keyring(["x" * 40])).open(record, "a") is None
    assert sealer.open(b"nonsense", "a") is None


async def test_without_redis_there_is_one_workers_memory() -> None:
    """And nothing has to run."""
    made = Remembering(Limits(), None, RING, FakeClock())
    assert isinstance(made.history, MemoryHistory)
    await made.run()


async def test_with_redis_others_are_behind_it() -> None:
    """Nothing is dialled for it."""
    made = Remembering(Limits(), Redis(port=1), RING, FakeClock())
    assert isinstance(made.history, SharedHistory)


@pytest.mark.parametrize("name", ["history_shared_bytes_max", "history_bytes_max"])
def test_there_is_room_for_more_than_one_conversation(name) -> None:
    """Of the longest that is kept."""
    assert getattr(Limits(), name) >= 4 * Limits().history_conversation_bytes_max
