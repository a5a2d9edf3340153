"""What connections remember: each its latest response, whatever its caller says of storing.

A connection to the real upstream does the same: the next turn may name the response before it and
say only what is new. What callers want stored goes to the history that all share, too. All
connections of a worker together remember so many bytes; over that the one that was used longest
ago forgets, and its caller is told that the context is not available.
"""

from collections import OrderedDict

from app.domain.caller import KeyId
from app.domain.conversation import Conversation
from app.ports import History


class Memories:
    """The memories of all connections of one worker."""

    def __init__(self, shared: History, *, bytes_max: int) -> None:
        self.shared = shared
        self._bytes_max = bytes_max
        self._latest: OrderedDict[Memory, Conversation] = OrderedDict()
        self.size = 0
        """What all of them take, in bytes; turns that two of them share are counted twice."""

    def open(self) -> "Memory":
        """Return the memory of a new connection; `close` it with the connection."""
        return Memory(self)

    def latest(self, memory: "Memory") -> Conversation | None:
        """Return what a connection remembers; None if it is nothing, or nothing any more."""
        found = self._latest.get(memory)
        if found is not None:
            self._latest.move_to_end(memory)
        return found

    def keep(self, memory: "Memory", conversation: Conversation) -> None:
        """Let a connection remember this, and nothing from before."""
        self.forget(memory)
        if conversation.size > self._bytes_max:
            return
        self._latest[memory] = conversation
        self.size += conversation.size
        while self.size > self._bytes_max:
            self.forget(next(iter(self._latest)))

    def forget(self, memory: "Memory") -> None:
        """Let a connection remember nothing."""
        forgotten = self._latest.pop(memory, None)
        if forgotten is not None:
            self.size -= forgotten.size


class Memory:
    """One connection's; satisfies `app.ports.History`."""

    __slots__ = ("_memories",)

    everything = True

    def __init__(self, memories: Memories) -> None:
        self._memories = memories

    @property
    def conversation_bytes_max(self) -> int:
        """The size beyond which a conversation is not kept."""
        return self._memories.shared.conversation_bytes_max

    async def recall(self, caller_id: KeyId, response_id: str) -> Conversation | None:
        """Return the caller's conversation up to that response; None if it is not known."""
        latest = self._memories.latest(self)
        if latest is not None and latest.response_id == response_id:
            return latest
        return await self._memories.shared.recall(caller_id, response_id)

    async def item(self, caller_id: KeyId, item_id: str) -> bytes | None:
        """Return an item of a response by its id, as JSON without the id."""
        latest = self._memories.latest(self)
        if latest is not None:
            for turn in reversed(latest.turns()):
                for known, item in zip(turn.ids, turn.output, strict=False):
                    if known == item_id:
                        return item
        return await self._memories.shared.item(caller_id, item_id)

    def record(self, caller_id: KeyId, conversation: Conversation) -> None:
        """Remember the connection's latest response; keep it for longer if that is wanted."""
        self._memories.keep(self, conversation)
        if conversation.stored:
            self._memories.shared.record(caller_id, conversation)

    def close(self) -> None:
        """Forget everything: the connection is over."""
        self._memories.forget(self)
