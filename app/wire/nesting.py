"""How deep and how wide a JSON text is, before anything is built from it.

Parsers recurse: a text that is deep enough ends in an exception that is not about JSON, and
where that happens differs between parsers and Python versions. So the limit is ours, exact, and
checked on the bytes. Nearly every body passes on a count of its brackets and colons alone,
wherever they stand; only the others are looked at closely, a window at a time, without their
strings. Nothing here judges whether the text is JSON: on other bytes the answer is some answer,
in bounded time and memory.
"""

import re
from collections.abc import Iterator
from typing import Final

from app.errors import InvalidRequest

DEPTH_MAX: Final = 512
MEMBERS_MAX: Final = 1024

# A dict of this many raw members takes some 30 MB for as long as it is looked at.
_COLONS_FREE: Final = 100_000
_WINDOW_BYTES: Final = 64 * 1024
_BLOCK_MARKS: Final = 256

_ALL: Final = bytes(range(256))
_NOT_OPENER_OR_COLON: Final = bytes(set(_ALL) - set(b"[{:"))
_NOT_BRACKET: Final = bytes(set(_ALL) - set(b"[]{}"))
_NOT_BRACKET_OR_COMMA: Final = bytes(set(_ALL) - set(b"[]{},"))
_FOLD: Final = bytes.maketrans(b"{}", b"[]")
# What can be left out without joining a backslash to a byte that it did not escape: everything
# but quotes, backslashes, marks and the letters that may follow a backslash.
_SILENT: Final = bytes(set(_ALL) - set(b'"\\/bfnrtu[]{},'))
_BACKSLASHES: Final = re.compile(rb"\\*+")


def check(body: bytes) -> None:
    """Return if `body` nests at most `DEPTH_MAX` levels and is no wider than can be held.

    Raises:
        InvalidRequest: It is deeper, or it has more than `MEMBERS_MAX` members at the top.
    """
    marks = body.translate(None, _NOT_OPENER_OR_COLON)
    if len(marks) <= DEPTH_MAX:
        return
    colons = marks.count(b":")
    if len(marks) - colons > DEPTH_MAX:
        _check_depth(body)
    if colons > _COLONS_FREE:
        _check_width(body)


def too_wide() -> InvalidRequest:
    """Return the answer to a body with too many members at the top."""
    return InvalidRequest(f"The request body has more than {MEMBERS_MAX} fields at the top level.")


def _check_depth(body: bytes) -> None:
    depth = 0
    for block in _blocks(body, _NOT_BRACKET):
        opened = block.count(b"[")
        if depth + opened > DEPTH_MAX and depth + _peak(block) > DEPTH_MAX:
            raise InvalidRequest(
                f"The request body is nested too deeply: more than {DEPTH_MAX} levels."
            )
        depth += 2 * opened - len(block)


def _check_width(body: bytes) -> None:
    depth = commas = 0
    for block in _blocks(body, _NOT_BRACKET_OR_COMMA):
        brackets = block.translate(None, b",")
        if depth - _trough(brackets) <= 1:
            commas += _commas_at_top(block, depth)
            if commas >= MEMBERS_MAX:
                raise too_wide()
        depth += 2 * brackets.count(b"[") - len(brackets)


def _peak(block: bytes) -> int:
    """Return how far above its start the deepest point of `block` is."""
    depth = peak = 0
    for mark in block:
        depth += 1 if mark == ord("[") else -1
        peak = max(peak, depth)
    return peak


def _trough(brackets: bytes) -> int:
    """Return how far below its start `brackets` goes."""
    before = b""
    while brackets != before:
        before, brackets = brackets, brackets.replace(b"[]", b"")
    return brackets.count(b"]")


def _commas_at_top(block: bytes, depth: int) -> int:
    commas = 0
    for mark in block:
        match mark:
            case 0x5B:
                depth += 1
            case 0x5D:
                depth -= 1
            case _:
                commas += depth == 1
    return commas


def _blocks(body: bytes, deleted: bytes) -> Iterator[bytes]:
    """Yield what stands outside of strings without `deleted`, braces turned into brackets."""
    inside = 0
    for window in _windows(body):
        bare = window.translate(None, _SILENT).replace(rb"\\", b"").replace(rb"\"", b"")
        pieces = bare.split(b'"')
        marks = b"".join(pieces[inside::2]).translate(_FOLD, deleted)
        inside ^= (len(pieces) - 1) & 1
        for start in range(0, len(marks), _BLOCK_MARKS):
            yield marks[start : start + _BLOCK_MARKS]


def _windows(body: bytes) -> Iterator[bytes]:
    """Cut `body` so that no backslash is parted from what it escapes."""
    start = 0
    while start < len(body):
        end = start + _WINDOW_BYTES
        if body[end - 1 : end] == b"\\":
            run = _BACKSLASHES.match(body, end)
            end = (run.end() if run else end) + 1
        yield body[start:end]
        start = end
