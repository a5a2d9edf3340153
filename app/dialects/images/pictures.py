"""Images as they are handed in: looked at just closely enough to say what they are.

The upstream judges what is in an image. What is no image at all, or one of a kind that it does not
take, is refused here and named, before an account is touched.
"""

from base64 import b64encode
from typing import Final
from urllib.parse import urlsplit

from app.errors import InvalidRequest

_DATA: Final = "data:"
_HTTP: Final = ("http", "https")
_URL_CHARS_MAX: Final = 8_192


def data_url(data: bytes, at: str) -> str:
    """Return an image's bytes as an address that holds them.

    Raises:
        InvalidRequest: They are no image of a kind that can be taken.
    """
    kind = _kind(data)
    if not data:
        raise InvalidRequest(f"Invalid image in '{at}': it is empty.", param=at)
    if kind is None:
        raise InvalidRequest(f"Invalid image in '{at}': expected PNG, JPEG, WebP or GIF.", param=at)
    return f"data:image/{kind};base64,{b64encode(data).decode('ascii')}"


def address(url: str, at: str) -> str:
    """Return an image's address if it is one that the upstream can be given.

    Raises:
        InvalidRequest: It is neither of the web nor does it hold an image.
    """
    if url.startswith(_DATA):
        head, _, data = url.partition(",")
        if head.startswith("data:image/") and head.endswith(";base64") and data:
            return url
        raise InvalidRequest(
            f"Invalid value for '{at}': expected 'data:image/...;base64,' and the image.", param=at
        )
    if len(url) > _URL_CHARS_MAX or urlsplit(url).scheme not in _HTTP:
        raise InvalidRequest(
            f"Invalid value for '{at}': expected an https address or a data URL.", param=at
        )
    return url


def _kind(data: bytes) -> str | None:
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    return "gif" if data.startswith((b"GIF87a", b"GIF89a")) else None
