"""The content blocks of one reply, numbered as they begin; one is said at a time.

Rule 1: blocks may not interleave, whatever the upstream does.
Rule 2: text and thinking end when anything else begins; more of the same part is a new block.
Rule 3: a tool call goes on until it is done; what begins meanwhile waits (`Turns`).
Rule 4: `close` ends whatever is open, in order.
"""

from collections.abc import Callable, Iterator
from typing import Final

from msgspec import Struct

from app.dialects.chat.turns import Turns
from app.dialects.messages import frames
from app.dialects.messages.frames import Kind
from app.dialects.messages.schema import Json

_FLOWING: Final = ("text", "thinking")


class Block(Struct, eq=False):
    """One block that has begun."""

    number: int
    type: str
    ended: bool = False


class Blocks:
    """What was begun so far."""

    def __init__(self, *, rest: Callable[[], bytes] = bytes) -> None:
        """Take what returns the text that was held back and belongs to the block that ends."""
        self._rest = rest
        self._turns = Turns()
        self._begun = 0
        self._open: list[Block] = []
        self.speaking = False
        """The latest block is said at once: nothing that began before it is still to be done."""

    def begin(self, block: Json) -> tuple[Block, list[bytes]]:
        """Return a new block, and what is to be said now."""
        said = [piece for old in self._flowing() for piece in self.end(old)]
        new = Block(self._begun, str(block["type"]))
        self._begun += 1
        self.speaking = not self._open
        self._open.append(new)
        said += self._turns.say(new.number, frames.block_start(new.number, block))
        return new, said

    def more(self, block: Block, kind: Kind, raw: bytes) -> Iterator[bytes]:
        """Yield what is to be said now of one more piece of a block that has not ended."""
        yield from self._turns.say(block.number, frames.delta(block.number, kind, raw))

    def end(self, block: Block) -> Iterator[bytes]:
        """Yield what is to be said once a block is whole; a second end says nothing."""
        if block.ended:
            return
        block.ended = True
        self._open.remove(block)
        if block.type == "text" and (rest := self._rest()):
            yield from self.more(block, "text", rest)
        yield from self._turns.say(block.number, frames.block_stop(block.number))
        yield from self._turns.done(block.number)

    def close(self) -> Iterator[bytes]:
        """Yield all that is left to be said: the reply is over."""
        for block in list(self._open):
            yield from self.end(block)

    def _flowing(self) -> list[Block]:
        return [block for block in self._open if block.type in _FLOWING]
