"""Images and documents, said as Responses input parts, or refused by name. Pure.

Base64 is checked as a whole, since a broken one costs an attempt and comes back as an error that
names no field; it is not decoded for that, which would cost five times as much. An image's type is
read from its first bytes: clients label PNGs as JPEGs, and the upstream believes the label.
"""

import string
from binascii import a2b_base64
from collections.abc import Mapping
from typing import Final

from app.dialects.messages.schema import (
    Base64Source,
    ContentSource,
    DocumentBlock,
    FileSource,
    ImageBlock,
    Json,
    TextBlock,
    TextSource,
    UrlSource,
)
from app.dialects.messages.violations import unsupported, wrong

_NO_FILES: Final = (
    "Files are not stored on this gateway: send the content itself as a 'base64', 'url' or"
    " 'text' source."
)
_IMAGE_TYPES: Final = ("image/jpeg", "image/png", "image/gif", "image/webp")
_MAGIC: Final[Mapping[bytes, str]] = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"GIF8": "image/gif",
}
_ALPHABET: Final = (string.ascii_letters + string.digits + "+/").encode()
_PADDINGS: Final = (b"", b"=", b"==")
_HEAD_CHARS: Final = 64
_PDF: Final = "application/pdf"
_PDF_NAME: Final = "document.pdf"


def image(block: ImageBlock, at: str) -> Json:
    """Return an image as an input part; `at` is the block's path.

    Raises:
        InvalidRequest: It is no image that models read.
    """
    match block.source:
        case UrlSource(url=url):
            return {"type": "input_image", "image_url": url, "detail": "auto"}
        case FileSource():
            raise unsupported(f"{at}.source.type", _NO_FILES)
        case Base64Source(media_type=media_type, data=data):
            kind = _image_type(media_type, data, f"{at}.source")
            url = f"data:{kind};base64,{data}"
            return {"type": "input_image", "image_url": url, "detail": "auto"}


def document(block: DocumentBlock, at: str) -> list[Json]:
    """Return a document as input parts; `at` is the block's path.

    Raises:
        InvalidRequest: It is of a kind that can't be sent on.
    """
    head = "\n".join(line for line in (block.title, block.context) if line)
    parts = _said(block, at)
    return [{"type": "input_text", "text": head}, *parts] if head else parts


def _said(block: DocumentBlock, at: str) -> list[Json]:
    match block.source:
        case TextSource(data=text):
            return [{"type": "input_text", "text": text}]
        case ContentSource(content=str() as text):
            return [{"type": "input_text", "text": text}]
        case ContentSource(content=blocks):
            return [
                _part(part, f"{at}.source.content[{index}]")
                for index, part in enumerate(blocks)
                if not isinstance(part, str)
            ]
        case UrlSource(url=url):
            return [{"type": "input_file", "file_url": url}]
        case FileSource():
            raise unsupported(f"{at}.source.type", _NO_FILES)
        case Base64Source(media_type=media_type, data=data):
            if media_type != _PDF:
                raise wrong(f"{at}.source.media_type", f"Input should be '{_PDF}'.")
            if not _decoded(data, f"{at}.source.data").startswith(b"%PDF"):
                raise wrong(f"{at}.source.data", "This is no PDF document.")
            name = block.title if block.title and block.title.endswith(".pdf") else _PDF_NAME
            url = f"data:{_PDF};base64,{data}"
            return [{"type": "input_file", "filename": name, "file_data": url}]


def _part(block: TextBlock | ImageBlock, at: str) -> Json:
    if isinstance(block, TextBlock):
        return {"type": "input_text", "text": block.text}
    return image(block, at)


def _image_type(media_type: str, data: str, at: str) -> str:
    """Return the type of an image by what is in it."""
    if media_type not in _IMAGE_TYPES:
        listed = ", ".join(f"'{kind}'" for kind in _IMAGE_TYPES)
        raise wrong(f"{at}.media_type", f"Input should be one of {listed}.")
    content = _decoded(data, f"{at}.data")
    for magic, kind in _MAGIC.items():
        if content.startswith(magic):
            return kind
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "image/webp"
    raise wrong(f"{at}.data", "Could not process image: it is no JPEG, PNG, GIF or WebP.")


def _decoded(data: str, at: str) -> bytes:
    """Return what the first bytes of `data` are, once it is sure that all of it is base64."""
    if not data:
        raise wrong(at, "The content is empty.")
    raw = data.encode("utf-8", "replace")
    rest = raw.translate(None, _ALPHABET)
    if len(raw) % 4 or rest not in _PADDINGS or not raw.endswith(rest):
        raise wrong(at, "Invalid base64 data.")
    return a2b_base64(raw[:_HEAD_CHARS])
