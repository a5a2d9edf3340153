"""Tests of app.shared.history, over a real Redis that may be away."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
import redis

from app.clock import SystemClock
from app.domain.caller import KeyId
from app.domain.conversation import Conversation, own_size
from app.ports import SharedUnavailable
from app.settings import Driver, Settings
from app.shared import history as module
from app.shared.client import client_of
from app.shared.history import RedisHistory, Room

ANN, BOB = KeyId("ann"), KeyId("bob")
SECRET = b'{"text":"nobody else may read this"}'
ROOM = Room(1 << 20, 1 << 19, 60.0)


class Sealer:
    """Turns everything round, which only the same name turns back."""

    def seal(self, text: bytes, name: str) -> bytes:
        """Return it sealed."""
        return bytes(255 - byte for byte in text) + name.encode()[-8:]

    def open(self, record: bytes, name: str) -> bytes | None:
        """Return what was sealed."""
        if record[-8:] != name.encode()[-8:]:
            return None
        return bytes(255 - byte for byte in record[:-8])


@pytest.fixture
def raw(redis_server) -> Iterator[redis.Redis]:
    """The server itself, emptied."""
    client = redis.Redis(port=redis_server.port)
    client.flushall()
    yield client
    client.close()


@asynccontextmanager
async def worker(redis_server, room: Room = ROOM) -> AsyncIterator[RedisHistory]:
    """One worker's history, its writer running."""
    settings = Settings(cache_driver=Driver.REDIS, redis_addr=redis_server.url)
    client = client_of(settings)
    history = RedisHistory(client=client, sealer=Sealer(), room=room, clock=SystemClock())
    writer = asyncio.ensure_future(history.run())
    try:
        yield history
    finally:
        writer.cancel()
        await asyncio.gather(writer, return_exceptions=True)
        await client.aclose()


def turn(name: str, after: Conversation | None = None, *, said: bytes = SECRET, stored=True):
    """Return a conversation that has come to a response."""
    output = (b'{"of":"%b"}' % name.encode(),)
    size = own_size(said, output) + (after.size if after else 0)
    return Conversation(name, said, output, (f"i-{name}",), after, stored, "session", size)


async def written(history: RedisHistory) -> None:
    """Wait until nothing is left to be written."""
    async with asyncio.timeout(20):
        while history.waiting:  # noqa: ASYNC110 - nothing tells when it has caught up
            await asyncio.sleep(0.01)


async def found(history: RedisHistory, key: KeyId, name: str) -> Conversation | None:
    """Return what is found, as often as the breaker wants to be asked."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await history.find(key, name)
            except SharedUnavailable:
                await asyncio.sleep(0.05)


async def test_a_conversation_is_found_by_another_worker(redis_server, raw) -> None:
    """All its turns, by its caller alone, and nothing of it can be read in Redis."""
    first = turn("r1")
    second = turn("r2", first)
    async with worker(redis_server) as one, worker(redis_server) as other:
        one.keep(ANN, first)
        one.keep(ANN, second)
        await written(one)
        read = await found(other, ANN, "r2")
        assert read is not None
        assert [(t.response_id, t.said, t.output) for t in read.turns()] == [
            (t.response_id, t.said, t.output) for t in second.turns()
        ]
        assert (read.size, read.session, read.stored) == (second.size, "session", True)
        assert await found(other, BOB, "r2") is None
        assert await other.find_item(ANN, "i-r1") == b'{"of":"r1"}'
        assert await other.find_item(ANN, "i-r3") is None
        assert await other.find_item(BOB, "i-r1") is None
    for name in raw.scan_iter():
        if raw.type(name) == b"string":
            assert b"nobody else" not in raw.get(name)


@pytest.mark.usefixtures("raw")
async def test_what_was_not_stored_is_said_in_what_was(redis_server) -> None:
    """A turn of a connection may not be kept by itself, but what follows it stands on it."""
    hidden = turn("r1", stored=False)
    last = turn("r3", turn("r2", hidden))
    async with worker(redis_server) as one, worker(redis_server) as other:
        one.keep(ANN, last.previous)
        one.keep(ANN, last)
        await written(one)
        read = await found(other, ANN, "r3")
        assert read is not None
        assert read.items() == last.items()
        assert await found(other, ANN, "r1") is None


@pytest.mark.usefixtures("raw")
async def test_a_conversation_whose_beginning_is_gone_is_gone(redis_server) -> None:
    """Half of it would be a wrong one."""
    first = turn("r1")
    async with worker(redis_server) as one:
        one.keep(ANN, turn("r2", first))
        await written(one)
        assert await found(one, ANN, "r2") is None


async def test_each_caller_has_his_room_and_all_have_theirs(redis_server, raw) -> None:
    """What was used longest ago makes room, and the sums are right."""
    room = Room(bytes_max=3_000, key_bytes_max=2_000, ttl_s=60.0)
    async with worker(redis_server, room) as one:
        for number in range(6):
            one.keep(ANN, turn(f"a{number}", said=b'{"x":"%b"}' % (b"x" * 500)))
        await written(one)
        assert await found(one, ANN, "a0") is None
        assert await found(one, ANN, "a5") is not None
        for number in range(6):
            one.keep(BOB, turn(f"b{number}", said=b'{"x":"%b"}' % (b"x" * 500)))
        await written(one)
    held = {m: int(m.rpartition(b"|")[2]) for m in raw.zrange("c2a:history:all", 0, -1)}
    assert int(raw.get("c2a:history:all:bytes")) == sum(held.values()) <= room.bytes_max
    for key in (b"ann", b"bob"):
        own = raw.zrange(b"c2a:history:%b:all" % key, 0, -1)
        assert int(raw.get(b"c2a:history:%b:all:bytes" % key)) == sum(held[m] for m in own)
        assert sum(held[m] for m in own) <= room.key_bytes_max
    assert {m.partition(b"|")[0] for m in held} == set(raw.keys("c2a:history:*:t:*"))


@pytest.mark.usefixtures("raw")
async def test_what_nobody_uses_goes_and_what_is_used_stays(redis_server) -> None:
    """Each use begins its time anew."""
    room = Room(1 << 20, 1 << 20, 1.0)
    async with worker(redis_server, room) as one:
        one.keep(ANN, turn("r1"))
        one.keep(ANN, turn("r2"))
        await written(one)
        for _ in range(4):
            await asyncio.sleep(0.4)
            assert await found(one, ANN, "r1") is not None
        assert await found(one, ANN, "r2") is None


@pytest.mark.usefixtures("raw")
async def test_without_redis_nothing_waits_and_little_is_lost(redis_server, monkeypatch) -> None:
    """A question is refused soon; what is to be written is written when it is back, if it fits."""
    monkeypatch.setattr(module, "QUEUE_BYTES_MAX", 3_000)
    async with worker(redis_server) as one:
        redis_server.freeze()
        try:
            with pytest.raises(SharedUnavailable):
                async with asyncio.timeout(5):
                    await one.find(ANN, "r1")
            for number in range(8):
                one.keep(ANN, turn(f"r{number}"))
            assert one.lost > 0
        finally:
            redis_server.thaw()
        await written(one)
        assert await found(one, ANN, "r7") is not None
        assert await found(one, ANN, "r0") is None


async def test_a_record_of_another_key_is_a_miss(redis_server, raw) -> None:
    """Nobody can read it, so it is as if it were not there."""
    async with worker(redis_server) as one:
        one.keep(ANN, turn("r1"))
        await written(one)
        for name in raw.keys("c2a:history:*:t:*"):
            raw.set(name, b"something else")
        assert await found(one, ANN, "r1") is None


@pytest.mark.usefixtures("raw")
async def test_what_is_no_text_stays_here(redis_server) -> None:
    """It can't be written, and nothing waits behind it."""
    async with worker(redis_server) as one:
        one.keep(ANN, turn("r1", said=b'{"x":'))
        one.keep(ANN, turn("r2"))
        await written(one)
        assert await found(one, ANN, "r2") is not None
