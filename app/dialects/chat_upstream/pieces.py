"""Recognizes chunks that differ from the last one only in the piece of text that they add. Pure.

Rule 1: what stands around the piece is learnt from a chunk that says nothing else, and only if
another piece in its place is read as such: so whoever looks like it means the same.
Rule 2: a piece is taken only if it is a whole JSON string of plain form; anything else is for those
who decode.
Rule 3: learning costs more than decoding, so it is given up where chunks go on changing.
"""

import re
from typing import Final

from msgspec import Raw

from app.dialects.chat_upstream.chunks import ABSENT, Chunk, chunk_of, text_of

LESSONS_MAX: Final = 4

_NULL: Final = Raw(b"null")
_OTHER: Final = Raw(b'"?"')
_KEY: Final = b'"content":'
# No \u: halves of surrogate pairs need a reader who knows them.
_PLAIN: Final = re.compile(rb'"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt])++"')


class Pieces:
    """The memory of one stream."""

    __slots__ = ("_head", "_lessons", "_tail")

    def __init__(self) -> None:
        self._head = b""
        self._tail = b""
        self._lessons = LESSONS_MAX

    def find(self, data: bytes) -> bytes:
        """Return the piece of text that a chunk adds, a JSON string; nothing if it may do more."""
        head, tail = self._head, self._tail
        if not head or not (data.startswith(head) and data.endswith(tail)):
            return b""
        found = _PLAIN.fullmatch(data, len(head), len(data) - len(tail))
        if found is None:
            return b""
        piece = found[0]
        return piece if piece.isascii() or _is_text(piece) else b""

    def learn(self, data: bytes, chunk: Chunk) -> None:
        """Learn from a chunk that was decoded what stands around a piece."""
        if not self._lessons or not _only_text(chunk):
            return
        self._lessons -= 1
        delta = chunk.choices[0].delta
        keyed = _KEY + bytes(delta.content if delta else _NULL)
        at = data.find(keyed)
        if at < 0:
            return
        head, tail = data[: at + len(_KEY)], data[at + len(keyed) :]
        other = chunk_of(head + bytes(_OTHER) + tail)
        if other is not None and _only_text(other):
            delta = other.choices[0].delta
            if delta is not None and delta.content == _OTHER:
                self._head, self._tail = head, tail


def _only_text(chunk: Chunk) -> bool:
    """Tell whether a chunk adds a piece of text and does nothing else."""
    if len(chunk.choices) != 1 or not _nothing(chunk.usage, chunk.error):
        return False
    choice = chunk.choices[0]
    delta = choice.delta
    if delta is None or choice.message is not None or choice.index or choice.finish_reason:
        return False
    others = (delta.refusal, delta.reasoning_content, delta.reasoning)
    calls = (delta.tool_calls, delta.function_call)
    return bool(text_of(delta.content)) and _nothing(*others, *calls)


def _nothing(*raws: Raw) -> bool:
    return all(raw in (ABSENT, _NULL) for raw in raws)


def _is_text(piece: bytes) -> bool:
    try:
        piece.decode()
    except UnicodeDecodeError:
        return False
    return True
