"""What callers' responses answered, for those who say only what comes next. Bounded, in memory.

A conversation is kept under its caller and its response's id. Turns are shared between the
conversations that go on from them, and counted once. One that nobody has gone on with for a while
is forgotten; where room is short, the one that was used longest ago goes first, of the caller that
fills its share, else of all. What is not here, nor with the other workers, is not known: nobody
guesses.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Final, TypeVar

from msgspec import Struct

from app.domain.caller import KeyId
from app.domain.conversation import Conversation
from app.errors import ContextUnavailable
from app.limits import Limits
from app.ports import Clock, HistoryStore, SharedUnavailable

WAITS_S: Final = (0.02, 0.1)
"""What another worker has answered is written within milliseconds."""
RETRY_S: Final = 2.0

_AWAY: Final = (
    "Earlier responses can't be looked up now: try again, or send the whole conversation in "
    "'input'."
)

T = TypeVar("T")
Sleep = Callable[[float], Awaitable[None]]


class HistoryBounds(Struct, frozen=True):
    """How much is kept, in bytes, and for how long, in seconds."""

    bytes_max: int
    key_bytes_max: int
    conversation_bytes_max: int
    ttl_s: float


def history_bounds(limits: Limits) -> HistoryBounds:
    """Return the bounds that the limits name."""
    return HistoryBounds(
        limits.history_bytes_max,
        limits.history_key_bytes_max,
        limits.history_conversation_bytes_max,
        limits.history_ttl_s,
    )


class MemoryHistory:
    """One worker's; satisfies `app.ports.History`."""

    everything = False

    def __init__(self, *, bounds: HistoryBounds, clock: Clock) -> None:
        self._bounds = bounds
        self._clock = clock
        self._kept: OrderedDict[tuple[KeyId, str], _Kept] = OrderedDict()
        self._of_key: dict[KeyId, _Share] = {}
        self.size = 0
        """What all of it takes, in bytes."""

    @property
    def conversation_bytes_max(self) -> int:
        """The size beyond which a conversation is not kept."""
        return self._bounds.conversation_bytes_max

    def __len__(self) -> int:
        return len(self._kept)

    async def recall(self, caller_id: KeyId, response_id: str) -> Conversation | None:
        """Return the caller's conversation up to that response; None if it is not known."""
        return self.known(caller_id, response_id)

    def known(self, caller_id: KeyId, response_id: str) -> Conversation | None:
        """Return what `recall` returns; it is kept for longer from now on."""
        name = (caller_id, response_id)
        kept = self._kept.get(name)
        if kept is None:
            return None
        now = self._clock.monotonic()
        if kept.until <= now:
            self._forget(name)
            return None
        kept.until = now + self._bounds.ttl_s
        self._kept.move_to_end(name)
        self._of_key[caller_id].names.move_to_end(response_id)
        return kept.conversation

    async def item(self, caller_id: KeyId, item_id: str) -> bytes | None:
        """Return an item of one of the caller's responses by its id, as JSON without the id."""
        share = self._of_key.get(caller_id)
        response_id = share.items.get(item_id) if share else None
        conversation = self.known(caller_id, response_id) if response_id else None
        return _item(conversation, item_id) if conversation else None

    def record(self, caller_id: KeyId, conversation: Conversation) -> None:
        """Keep a conversation, unless it is too long or not to be stored."""
        bounds = self._bounds
        longest = min(bounds.conversation_bytes_max, bounds.key_bytes_max, bounds.bytes_max)
        if not conversation.stored or conversation.size > longest:
            return
        name = (caller_id, conversation.response_id)
        if name in self._kept:
            self._forget(name)
        now = self._clock.monotonic()
        share = self._of_key.setdefault(caller_id, _Share())
        self._kept[name] = _Kept(conversation, now + bounds.ttl_s)
        share.names[conversation.response_id] = None
        for item_id in conversation.ids:
            if item_id:
                share.items[item_id] = conversation.response_id
        self._count(share, conversation)
        self._make_room(caller_id, now)

    def _make_room(self, caller_id: KeyId, now: float) -> None:
        while self._kept:
            name, kept = next(iter(self._kept.items()))
            if kept.until > now and self.size <= self._bounds.bytes_max:
                break
            self._forget(name)
        share = self._of_key.get(caller_id)
        while share is not None and share.size > self._bounds.key_bytes_max:
            self._forget((caller_id, next(iter(share.names))))

    def _count(self, share: "_Share", conversation: Conversation) -> None:
        """Let each turn be held once more; those that were not held before take room."""
        for turn in _back_from(conversation):
            held = share.turns.get(turn, 0)
            share.turns[turn] = held + 1
            if held:
                # Whoever holds this turn holds all before it.
                break
            share.size += turn.own_size
            self.size += turn.own_size

    def _forget(self, name: tuple[KeyId, str]) -> None:
        caller_id, response_id = name
        conversation = self._kept.pop(name).conversation
        share = self._of_key[caller_id]
        del share.names[response_id]
        for item_id in conversation.ids:
            if item_id and share.items.get(item_id) == response_id:
                del share.items[item_id]
        for turn in _back_from(conversation):
            share.turns[turn] -= 1
            if share.turns[turn]:
                break
            del share.turns[turn]
            share.size -= turn.own_size
            self.size -= turn.own_size
        if not share.names:
            del self._of_key[caller_id]


class SharedHistory:
    """What this worker remembers, and behind it what all of them do; satisfies `History`.

    What another worker has just recorded may still be on its way, so a miss is asked for again
    before it is one.
    """

    everything = False

    def __init__(self, memory: MemoryHistory, store: HistoryStore, *, sleep: Sleep) -> None:
        self._memory = memory
        self._store = store
        self._sleep = sleep

    @property
    def conversation_bytes_max(self) -> int:
        """The size beyond which a conversation is not kept."""
        return self._memory.conversation_bytes_max

    async def recall(self, caller_id: KeyId, response_id: str) -> Conversation | None:
        """Return the caller's conversation up to that response; None if nobody knows it.

        Raises:
            ContextUnavailable: The others can't be asked now.
        """
        known = self._memory.known(caller_id, response_id)
        if known is not None:
            return known
        found = await self._patiently(partial(self._store.find, caller_id, response_id))
        if found is not None:
            self._memory.record(caller_id, found)
        return found

    async def item(self, caller_id: KeyId, item_id: str) -> bytes | None:
        """Return an item of one of the caller's responses by its id.

        Raises:
            ContextUnavailable: The others can't be asked now.
        """
        known = await self._memory.item(caller_id, item_id)
        if known is not None:
            return known
        return await self._patiently(partial(self._store.find_item, caller_id, item_id))

    def record(self, caller_id: KeyId, conversation: Conversation) -> None:
        """Keep a conversation, here and for the others."""
        self._memory.record(caller_id, conversation)
        if conversation.stored and conversation.size <= self.conversation_bytes_max:
            self._store.keep(caller_id, conversation)

    async def _patiently(self, find: Callable[[], Awaitable[T | None]]) -> T | None:
        for wait_s in (*WAITS_S, None):
            try:
                found = await find()
            except SharedUnavailable:
                raise ContextUnavailable(_AWAY, retry_after_s=RETRY_S) from None
            if found is not None or wait_s is None:
                return found
            await self._sleep(wait_s)
        raise AssertionError("the last wait is none")


class _Kept(Struct):
    conversation: Conversation
    until: float


class _Share:
    """What one caller fills: the names of its conversations, the one used longest ago first."""

    __slots__ = ("items", "names", "size", "turns")

    def __init__(self) -> None:
        self.names: OrderedDict[str, None] = OrderedDict()
        self.items: dict[str, str] = {}
        """Item id to the id of the response it is in."""
        self.turns: dict[Conversation, int] = {}
        """How many hold a turn: conversations that end with it, turns that follow it."""
        self.size = 0


def _back_from(conversation: Conversation) -> Iterator[Conversation]:
    turn: Conversation | None = conversation
    while turn is not None:
        yield turn
        turn = turn.previous


def _item(conversation: Conversation, item_id: str) -> bytes | None:
    for found, item in zip(conversation.ids, conversation.output, strict=True):
        if found == item_id:
            return item
    return None
