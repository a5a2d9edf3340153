"""Tests of app.wire.image_size."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.wire.image_size import image_size

PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 640, 480)
GIF = b"GIF89a" + struct.pack("<HH", 640, 480)
FRAME = b"\xff\xc2\0\x11\x08" + struct.pack(">HH", 480, 640)
PROFILE = b"\xff\xe1" + struct.pack(">H", 602) + bytes(600)
JPEG = b"\xff\xd8" + b"\xff\xe0\0\x04ab" + PROFILE + b"\xff\xff" + FRAME + bytes(9)
TABLES = b"\xff\xd8\xff\xc4\0\x06\0\0\0\0" + b"\xff\xd0" + FRAME + bytes(9)
LOSSY = b"RIFF\0\0\0\0WEBPVP8 " + bytes(10) + struct.pack("<HH", 640 | 0x4000, 480)
LOSSLESS = b"RIFF\0\0\0\0WEBPVP8L" + bytes(4) + b"\x2f" + struct.pack("<I", 639 | 479 << 14)
EXTENDED = b"RIFF\0\0\0\0WEBPVP8X" + bytes(8) + b"\x7f\x02\0\xdf\x01\0"
ALL = [PNG, GIF, JPEG, TABLES, LOSSY, LOSSLESS, EXTENDED]


@pytest.mark.parametrize("data", ALL)
def test_the_size_stands_in_the_head(data) -> None:
    """Width first, whichever way the format has it."""
    assert image_size(data) == (640, 480)


@pytest.mark.parametrize("data", ALL)
def test_what_ends_too_soon_has_no_size(data) -> None:
    """Wherever it is cut: from some byte on the size is known, and before it there is none."""
    sizes = [image_size(data[:end]) for end in range(len(data) + 1)]
    known = sizes.index((640, 480))
    assert set(sizes[:known]) == {None}
    assert set(sizes[known:]) == {(640, 480)}


@pytest.mark.parametrize("data", [
    b"", b"BM", b"\xff\xd8\xff\xd9", b"\xff\xd8\0\0\0\0\0\0\0\0\0\0", PNG[:16] + bytes(8),
    b"RIFF\0\0\0\0WEBPVP9 " + bytes(20), b"RIFF\0\0\0\0WAVE",
])  # fmt: skip
def test_what_is_no_image_has_no_size(data) -> None:
    """Nothing raises."""
    assert image_size(data) is None


@given(
    head=st.sampled_from([b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBPVP8X", b"GIF89a", b""]),
    rest=st.binary(),
)
def test_nothing_raises(head, rest) -> None:
    """Whatever the bytes are."""
    size = image_size(head + rest)
    assert size is None or min(size) >= 0
