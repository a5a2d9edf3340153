"""Finds the whole text messages in what a connection receives. Pure.

Nearly everything that an upstream sends is a text message in one frame, and a library that treats
each frame as if it could be anything costs more than all that is done with it afterwards. So what
is usual is cut out here. Everything else goes to the library as the bytes it came in, frame by
frame: fragments, control frames, frames that have not come whole, and whatever breaks the rules.
"""

from typing import Final

from msgspec import Struct

_TEXT: Final = 0x81
"""The first byte of a text message in one frame, without extensions."""
_FINAL: Final = 0x80
_CONTROL: Final = 0x08
_SHORT_MAX: Final = 125
_IN_TWO: Final = 126
_IN_EIGHT: Final = 127
_MASKED: Final = 0x80


class Piece(Struct, frozen=True, gc=False):
    """A text message, or bytes for the library."""

    data: bytes
    message: bool


class Framing:
    """One connection's, from the first byte after the handshake."""

    __slots__ = ("_begun", "_fragments", "_owed")

    def __init__(self) -> None:
        self._owed = 0
        """Bytes to come of a frame whose beginning has gone to the library."""
        self._begun = b""
        """The beginning of a header."""
        self._fragments = False
        """A message has begun whose last frame has not come."""

    def cut(self, data: bytes) -> list[Piece]:
        """Return what came, in order; nothing of it is lost but the headers of messages."""
        if self._begun:
            data, self._begun = self._begun + data, b""
        pieces: list[Piece] = []
        at, size = 0, len(data)
        if self._owed:
            at = min(self._owed, size)
            self._owed -= at
            pieces.append(Piece(data[:at], message=False))
        while at < size:
            header = _header(data, at, size)
            if header is None:
                self._begun = data[at:]
                break
            start, end = header
            usual = data[at] == _TEXT and data[at + 1] < _MASKED
            if usual and end <= size and not self._fragments:
                pieces.append(Piece(data[start:end], message=True))
            else:
                self._note(data[at])
                self._owed = max(0, end - size)
                pieces.append(Piece(data[at:end], message=False))
            at = end
        return pieces

    def _note(self, first: int) -> None:
        """Keep track of whether the library is within a message."""
        if not first & _CONTROL:
            self._fragments = not first & _FINAL


def _header(data: bytes, at: int, size: int) -> tuple[int, int] | None:
    """Return where a frame's payload begins and ends; None if its header is not whole."""
    if size - at < 2:
        return None
    length, start = data[at + 1], at + 2
    if length <= _SHORT_MAX:
        return start, start + length
    masked = length & _MASKED
    length &= ~_MASKED
    width = 2 if length == _IN_TWO else 8 if length == _IN_EIGHT else 0
    start += width
    if start > size:
        return None
    if width:
        length = int.from_bytes(data[start - width : start], "big")
    if masked:
        start += 4
    return start, start + length
