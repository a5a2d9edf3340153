"""Lets one tool call speak at a time, though the upstream may say several at once.

Chat chunks number the calls, so they could alternate; but clients take a call for complete as soon
as another one's number appears, and parse what they have. A call that is announced while another
one is being said waits until that one is done; nothing waits longer than the reply lasts.
"""

from collections.abc import Iterator
from typing import Final

HELD_BYTES_MAX: Final = 16 * 1024 * 1024
"""What waiting calls may hold; beyond it everything is said as it comes."""


class Turns:
    """The order in which calls are said; they are numbered from 0 as they are announced."""

    def __init__(self) -> None:
        self._speaking = 0
        self._held: dict[int, list[bytes]] = {}
        self._held_bytes = 0
        self._done: set[int] = set()
        self._free = False

    def say(self, number: int, piece: bytes) -> Iterator[bytes]:
        """Return what may be said now of a piece of call `number`."""
        if number <= self._speaking or self._free:
            yield piece
            return
        self._held.setdefault(number, []).append(piece)
        self._held_bytes += len(piece)
        if self._held_bytes > HELD_BYTES_MAX:
            yield from self.rest()

    def done(self, number: int) -> Iterator[bytes]:
        """Return what may be said once call `number` has nothing more to say."""
        self._done.add(number)
        while self._speaking in self._done:
            self._speaking += 1
            yield from self._held.pop(self._speaking, ())

    def rest(self) -> Iterator[bytes]:
        """Return all that waits, in order; from now on nobody waits."""
        self._free = True
        for number in sorted(self._held):
            yield from self._held[number]
        self._held.clear()
