"""What callers' responses answered, in Redis, so that any worker can go on from them.

Each turn is a record of its own under its response's id, sealed before it leaves this process, and
names the turns before it, so a long conversation is not written again with each of its turns. A
record goes when nobody has used it for its time, or earlier where its caller, or all of them, have
filled their room: the one that was used longest ago first.

Writing is background work: `keep` puts a turn into a bounded queue. Reading is the one thing that a
call waits for, and only if it goes on from what this worker does not know itself.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from hashlib import blake2b
from typing import Any, Final, Protocol, TypeVar

import msgspec
from msgspec import Raw, Struct
from redis.asyncio import Redis

from app.domain.caller import KeyId
from app.domain.conversation import Conversation, own_size
from app.ports import Clock, SharedUnavailable
from app.shared.breaker import Breaker
from app.shared.cancellation import cancelled
from app.shared.client import FAULTS
from app.shared.history_scripts import ALL, PREFIX, WRITE

logger = logging.getLogger(__name__)

QUEUE_BYTES_MAX: Final = 16 << 20
"""What waits to be written while Redis is slow; beyond it the oldest turns stay known here only."""
TURNS_MAX: Final = 2_000
"""Turns of one conversation that are read; a longer one is not known."""
ITEMS_NAMED_MAX: Final = 256
"""Items of one response that can be referred to from other workers."""
STEP_S: Final = 0.5
"""The longest that one question may take: a record may be megabytes."""
T = TypeVar("T")


class Sealer(Protocol):
    """Makes records that nobody can read who lacks the installation's key."""

    def seal(self, text: bytes, name: str) -> bytes:
        """Return the record that holds `text` under `name`."""

    def open(self, record: bytes, name: str) -> bytes | None:
        """Return what was sealed under `name`; None if it can't be read here."""


class Room(Struct, frozen=True):
    """How much is kept, in bytes, and for how long, in seconds."""

    bytes_max: int
    key_bytes_max: int
    ttl_s: float


class _Record(Struct):
    """One turn as it is written; `before` are the responses that it goes on from, oldest first."""

    id: str
    before: list[str]
    said: list[Raw]
    output: list[Raw]
    ids: list[str | None]
    session: str | None = None


class RedisHistory:
    """One worker's way to the history of all; satisfies `app.ports.HistoryStore`."""

    def __init__(self, *, client: Redis, sealer: Sealer, room: Room, clock: Clock) -> None:
        self._client = client
        self._sealer = sealer
        self._room = room
        self._clock = clock
        self._breaker = Breaker()
        self._write: Callable[..., Awaitable[Any]] = client.register_script(WRITE)
        self._queue: deque[tuple[KeyId, Conversation, int]] = deque()
        self._queued = 0
        self._woken = asyncio.Event()
        self.lost = 0
        """Turns that only this worker knows, because Redis was away for too long."""

    def keep(self, caller_id: KeyId, conversation: Conversation) -> None:
        """Write a turn soon. Never waits."""
        size = conversation.own_size
        self._queue.append((caller_id, conversation, size))
        self._queued += size
        while self._queued > QUEUE_BYTES_MAX:
            self._queued -= self._queue.popleft()[2]
            self.lost += 1
        self._woken.set()

    @property
    def waiting(self) -> int:
        """How many turns wait to be written."""
        return len(self._queue)

    async def run(self) -> None:
        """Write what is to be kept, until cancelled."""
        while not cancelled():
            await self._woken.wait()
            self._woken.clear()
            while self._queue and not cancelled():
                caller_id, conversation, size = self._queue[0]
                if not await self._written(caller_id, conversation):
                    await asyncio.sleep(1.0)
                elif self._queue and self._queue[0][1] is conversation:
                    self._queue.popleft()
                    self._queued -= size

    async def find(self, caller_id: KeyId, response_id: str) -> Conversation | None:
        """Return the caller's conversation up to that response; None if it is not there.

        Raises:
            SharedUnavailable: Redis can't be asked now.
        """
        return await self._asked(self._find(caller_id, response_id))

    async def find_item(self, caller_id: KeyId, item_id: str) -> bytes | None:
        """Return an item of one of the caller's responses by its id, None if it is not there.

        Raises:
            SharedUnavailable: Redis can't be asked now.
        """
        return await self._asked(self._find_item(caller_id, item_id))

    async def _asked(self, question: Coroutine[Any, Any, T]) -> T:
        now = self._clock.monotonic
        if not self._breaker.admits(now()):
            question.close()
            raise SharedUnavailable("Redis does not answer.")
        try:
            async with asyncio.timeout(STEP_S):
                answer = await question
        except FAULTS as error:
            self._breaker.failed(now())
            raise SharedUnavailable(f"Redis does not answer: {type(error).__name__}.") from None
        self._breaker.succeeded()
        return answer

    async def _find(self, caller_id: KeyId, response_id: str) -> Conversation | None:
        last = await self._read(caller_id, [response_id])
        if last is None:
            return None
        before = last[0].before
        if len(before) > TURNS_MAX:
            return None
        past = await self._read(caller_id, before) if before else []
        return None if past is None else _conversation([*past, *last])

    async def _find_item(self, caller_id: KeyId, item_id: str) -> bytes | None:
        found = await self._client.get(item_name(caller_id, item_id))
        if not isinstance(found, bytes):
            return None
        records = await self._read(caller_id, [found.decode()])
        if records is None:
            return None
        pairs = zip(records[0].ids, records[0].output, strict=True)
        return next((bytes(item) for name, item in pairs if name == item_id), None)

    async def _read(self, caller_id: KeyId, ids: Sequence[str]) -> list[_Record] | None:
        """Return records, which stay for longer now; None if one of them is gone."""
        names = [turn_name(caller_id, one) for one in ids]
        sealed = [one for one in await self._client.mget(names) if isinstance(one, bytes)]
        if len(sealed) < len(names):
            return None
        records = await asyncio.to_thread(self._opened, names, sealed)
        until = self._clock.now() + self._room.ttl_s
        async with self._client.pipeline(transaction=False) as pipe:
            pairs = zip(names, sealed, strict=True)
            members = {_member(name, caller_id, len(one)): until for name, one in pairs}
            for name in names:
                pipe.pexpire(name, int(self._room.ttl_s * 1000))
            pipe.zadd(ALL, members, xx=True)
            pipe.zadd(_index(caller_id), members, xx=True)
            await pipe.execute()
        return records

    def _opened(self, names: Sequence[str], sealed: Sequence[bytes]) -> list[_Record] | None:
        found: list[_Record] = []
        for name, record in zip(names, sealed, strict=True):
            text = self._sealer.open(record, name)
            if text is None:
                return None
            found.append(msgspec.json.decode(text, type=_Record))
        return found

    async def _written(self, caller_id: KeyId, conversation: Conversation) -> bool:
        """Write one turn; False if it has to be tried again."""
        name = turn_name(caller_id, conversation.response_id)
        try:
            sealed = await asyncio.to_thread(self._sealed, conversation, name)
        except (UnicodeDecodeError, msgspec.DecodeError):
            return True  # no other worker could read it
        room, now = self._room, self._clock.now()
        named = [item_name(caller_id, one) for one in conversation.ids if one][:ITEMS_NAMED_MAX]
        keys = [name, ALL, _index(caller_id), *named]
        values = [
            *(sealed, conversation.response_id, _member(name, caller_id, len(sealed)), len(sealed)),
            *(int(room.ttl_s * 1000), now, now + room.ttl_s, room.key_bytes_max, room.bytes_max),
        ]
        try:
            async with asyncio.timeout(STEP_S):
                await self._write(keys=keys, args=values)
        except FAULTS as error:
            if self._breaker.failed(self._clock.monotonic()):
                logger.warning("the history can't be written: %s", type(error).__name__)
            return False
        self._breaker.succeeded()
        return True

    def _sealed(self, conversation: Conversation, name: str) -> bytes:
        record = _record(conversation)
        return self._sealer.seal(msgspec.json.encode(record), name)


def turn_name(caller_id: KeyId, response_id: str) -> str:
    """Return the name of a turn in Redis; it says nothing of the response."""
    return f"{PREFIX}{caller_id}:t:{_digest(response_id)}"


def item_name(caller_id: KeyId, item_id: str) -> str:
    """Return the name under which an item's response is found."""
    return f"{PREFIX}{caller_id}:i:{_digest(item_id)}"


def _index(caller_id: KeyId) -> str:
    return f"{PREFIX}{caller_id}:all"


def _member(name: str, caller_id: KeyId, size: int) -> str:
    return f"{name}|{caller_id}|{size}"


def _digest(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _record(conversation: Conversation) -> _Record:
    """Return a turn as it is written: what is not stored by itself is said in it."""
    previous = conversation.previous
    said, before = conversation.said, []
    if previous is not None and previous.stored:
        before = [*_record_ids(previous), previous.response_id]
    elif previous is not None:
        said = b",".join(part for part in (previous.items(), said) if part)
    return _Record(
        conversation.response_id,
        before,
        msgspec.json.decode(b"[%b]" % said, type=list[Raw]),
        [Raw(item) for item in conversation.output],
        list(conversation.ids),
        conversation.session,
    )


def _record_ids(conversation: Conversation) -> list[str]:
    """Return the responses that a stored turn's record goes on from, oldest first."""
    found: list[str] = []
    turn = conversation.previous
    while turn is not None and turn.stored:
        found.append(turn.response_id)
        turn = turn.previous
    return found[::-1]


def _conversation(records: Sequence[_Record]) -> Conversation | None:
    turn: Conversation | None = None
    for record in records:
        said = b",".join(bytes(item) for item in record.said)
        output = tuple(bytes(item) for item in record.output)
        size = own_size(said, output) + (turn.size if turn else 0)
        ids = tuple(record.ids)
        turn = Conversation(record.id, said, output, ids, turn, True, record.session, size)  # noqa: FBT003
    return turn
