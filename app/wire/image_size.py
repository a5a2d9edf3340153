"""How large an image is, read from its first bytes: PNG, JPEG, GIF and WebP. Pure.

Nothing is decoded and nothing raises: of what is no such image, or ends too soon, there is no size.
"""

from typing import Final, Literal, TypeAlias

Size: TypeAlias = tuple[int, int]

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_MARKER: Final = 0xFF
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""JPEG markers that begin a frame, which has the size."""
_BARE: Final = frozenset({0x01, *range(0xD0, 0xDA)})
"""JPEG markers without a length behind them."""


def image_size(data: bytes) -> Size | None:
    """Return width and height in pixels; None if they can't be told."""
    if data.startswith(_PNG):
        return _pair(data[16:24], 4, "big")
    if data.startswith((b"GIF87a", b"GIF89a")):
        return _pair(data[6:10], 2, "little")
    if data.startswith(b"\xff\xd8"):
        return _jpeg(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp(data)
    return None


def _pair(data: bytes, length: int, order: Literal["big", "little"]) -> Size | None:
    """Return two numbers of `length` bytes each, if both are there and neither is zero."""
    first = int.from_bytes(data[:length], order)
    second = int.from_bytes(data[length:], order)
    return (first, second) if len(data) == 2 * length and first and second else None


def _jpeg(data: bytes) -> Size | None:
    """Walk the segments to the first frame."""
    at = 2
    while at + 9 <= len(data):
        if data[at] != _MARKER:
            return None
        kind = data[at + 1]
        if kind == _MARKER:
            at += 1
        elif kind in _FRAMES:
            size = _pair(data[at + 5 : at + 9], 2, "big")
            return size and (size[1], size[0])
        elif kind in _BARE:
            at += 2
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def _webp(data: bytes) -> Size | None:
    match data[12:16]:
        case b"VP8 ":
            size = _pair(data[26:30], 2, "little")
            return size and (size[0] & 0x3FFF, size[1] & 0x3FFF)
        case b"VP8L" if len(data) >= 25:
            bits = int.from_bytes(data[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X" if len(data) >= 30:
            width, height = data[24:27], data[27:30]
            return int.from_bytes(width, "little") + 1, int.from_bytes(height, "little") + 1
        case _:
            return None
