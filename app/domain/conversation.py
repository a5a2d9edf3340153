"""A conversation: what was said up to one response, as its caller may go on from there."""

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

NODE_BYTES: Final = 512
"""What a turn takes beside what was said in it, so that tiny turns are not free."""


class Conversation(Struct, frozen=True, eq=False):
    """One response with what it answers, and the turns before; turns are shared, never copied.

    `said` are the turn's input items as JSON, joined by commas; `output` are its answer's items,
    one by one, and `ids` their ids, in the same order, None where one has none.
    """

    response_id: str
    said: bytes
    output: tuple[bytes, ...]
    ids: tuple[str | None, ...] = ()
    previous: "Conversation | None" = None
    stored: bool = True
    """The caller wants it kept; if not, it is known to its own connection at most."""
    session: str | None = None
    """The session's key in the pool's table, so that what follows stays with its account."""
    size: int = 0
    """What it takes with all turns before it, in bytes."""

    @property
    def own_size(self) -> int:
        """What this turn alone takes, in bytes."""
        return own_size(self.said, self.output)

    def turns(self) -> list["Conversation"]:
        """Return all turns, the oldest first."""
        found: list[Conversation] = []
        turn: Conversation | None = self
        while turn is not None:
            found.append(turn)
            turn = turn.previous
        return found[::-1]

    def items(self) -> bytes:
        """Return all that was said, as JSON items joined by commas."""
        pieces = [piece for turn in self.turns() for piece in (turn.said, *turn.output)]
        return b",".join(piece for piece in pieces if piece)


def own_size(said: bytes, output: Iterable[bytes]) -> int:
    """Return what one turn takes, in bytes."""
    return NODE_BYTES + len(said) + sum(len(item) for item in output)
