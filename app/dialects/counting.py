"""What of a Responses request costs tokens: its texts, and what is known without a tokenizer. Pure.

The request is taken as it would go upstream, so every dialect is counted the same way. Texts are
counted by whoever has the tokenizer. What stands around them has a fixed cost, which OpenAI has
published for messages and for functions. An image costs by its size; a document is estimated.

What can't be known here is guessed and named: an image that is only an address counts as one of
1024 x 1024, a page of a document as `PAGE_TOKENS`.
"""

import re
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Iterable
from math import ceil, sqrt
from typing import Final

import msgspec
from msgspec import Struct

from app.wire.image_size import Size, image_size
from app.wire.violations import decoded

REPLY_TOKENS: Final = 3
MESSAGE_TOKENS: Final = 4
FUNCTION_TOKENS: Final = 7
FUNCTIONS_TOKENS: Final = 12
PROPERTY_TOKENS: Final = 6
CHOICE_TOKENS: Final = 3
TOOL_TOKENS: Final = 32
"""What a hosted tool's description takes, about."""
PAGE_TOKENS: Final = 1_500
IMAGE_SIZE_GUESSED: Final = (1_024, 1_024)

_PATCH: Final = 32
_PATCHES_MAX: Final = {"low": 256, "high": 2_500}
_PATCHES_MAX_AUTO: Final = 10_000
_TOKENS_OF_TEN_PATCHES: Final = 12
_HEAD_CHARS: Final = 512
_HEAD_CHARS_JPEG: Final = 350_000
"""A JPEG's size may stand behind its thumbnail and its profile."""
_PAGE: Final = re.compile(rb"/Type\s*/Page(?![a-zA-Z])")
_SEAL_BYTES: Final = 650
_TEXT_FIELDS: Final = ("name", "arguments", "input", "output", "query")

Json = dict[str, object]
_TOP: Final = msgspec.json.Decoder(Json)


class Measured(Struct, frozen=True):
    """What there is to count."""

    texts: list[str]
    fixed: int
    """Tokens of everything else."""


def measured(body: bytes) -> Measured:
    """Return what has to be counted of a request as it goes upstream.

    Raises:
        InvalidRequest: It has a number that nothing can hold.
    """
    request = decoded(body, _TOP)
    scale = _Scale()
    if isinstance(told := request.get("instructions"), str) and told:
        scale.message([told])
    items = request.get("input")
    for item in [items] if isinstance(items, str) else _list(items):
        scale.item(item)
    scale.tools(_dicts(request.get("tools")))
    match request.get("text"):
        case {"format": {"schema": schema}}:
            scale.texts.append(msgspec.json.encode(schema).decode())
    return Measured(scale.texts, scale.fixed + REPLY_TOKENS)


def image_tokens(size: Size, detail: str = "auto") -> int:
    """Return what an image of this many pixels costs: 1.2 tokens for each patch of 32 x 32.

    A larger one than the detail allows is first made smaller, to whole patches on one side.
    """
    width, height = size
    patches_max = _PATCHES_MAX.get(detail, _PATCHES_MAX_AUTO)
    patches = ceil(width / _PATCH) * ceil(height / _PATCH)
    if patches > patches_max:
        shrunk = sqrt(patches_max * _PATCH**2 / (width * height))
        across, down = width * shrunk / _PATCH, height * shrunk / _PATCH
        fit = min(max(1, int(across)) / across, max(1, int(down)) / down)
        patches = min(patches_max, ceil(across * fit) * ceil(down * fit))
    return ceil(patches * _TOKENS_OF_TEN_PATCHES / 10)


class _Scale:
    """The sum so far."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.fixed = 0

    def message(self, texts: Iterable[str]) -> None:
        """Add a message."""
        self.fixed += MESSAGE_TOKENS
        self.texts += texts

    def item(self, item: object) -> None:
        """Add an input item, whatever it is."""
        if not isinstance(item, dict):
            self.message([item] if isinstance(item, str) else [])
            return
        self.message([])
        self._content(item.get("content"))
        for field in _TEXT_FIELDS:
            value = item.get(field)
            if isinstance(value, str):
                self.texts.append(value)
            else:
                self._content(value)
        sealed = item.get("encrypted_content")
        if isinstance(sealed, str):
            self.fixed += max(0, len(sealed) * 3 // 4 - _SEAL_BYTES) // 4
        if "tools" in item:
            self.tools(_dicts(item["tools"]))

    def tools(self, tools: list[Json]) -> None:
        """Add the tools that may be called."""
        if tools:
            self.fixed += FUNCTIONS_TOKENS
        for tool in tools:
            if tool.get("type") in ("function", "custom"):
                self.fixed += FUNCTION_TOKENS
                self.texts.append(f"{tool.get('name')}:{tool.get('description') or ''}")
                self._schema(tool.get("parameters"))
            else:
                self.fixed += TOOL_TOKENS

    def _schema(self, schema: object) -> None:
        """Add a schema: its names, types and words, however deep."""
        work = [schema]
        while work:
            match work.pop():
                case dict() as one:
                    self._properties(one.get("properties"))
                    work += one.values()
                case list() as several:
                    work += several

    def _properties(self, properties: object) -> None:
        if not isinstance(properties, dict):
            return
        for name, schema in properties.items():
            self.fixed += PROPERTY_TOKENS
            fields = schema if isinstance(schema, dict) else {}
            self.texts.append(f"{name}:{fields.get('type', '')}:{fields.get('description', '')}")
            for choice in _list(fields.get("enum")):
                self.fixed += CHOICE_TOKENS
                self.texts.append(str(choice))

    def _content(self, content: object) -> None:
        if isinstance(content, str):
            self.texts.append(content)
        for part in _dicts(content):
            match part:
                case {"text": str() as text}:
                    self.texts.append(text)
                case {"refusal": str() as text}:
                    self.texts.append(text)
                case {"type": "input_image"}:
                    self.fixed += _image(part)
                case {"type": "input_file"}:
                    self.fixed += _file(part)


def _image(part: Json) -> int:
    url, detail = part.get("image_url"), part.get("detail")
    data = _data(url, _HEAD_CHARS) if isinstance(url, str) else b""
    if isinstance(url, str) and data.startswith(b"\xff\xd8"):
        data = _data(url, _HEAD_CHARS_JPEG)
    size = image_size(data) or IMAGE_SIZE_GUESSED
    return image_tokens(size, detail if isinstance(detail, str) else "auto")


def _file(part: Json) -> int:
    data = part.get("file_data")
    pages = len(_PAGE.findall(_data(data, len(data)))) if isinstance(data, str) else 0
    return PAGE_TOKENS * max(1, pages)


def _data(url: str, chars_max: int) -> bytes:
    """Return the first bytes that a data URL has in it; nothing for any other address."""
    head, _, data = url.partition(";base64,")
    if not head.startswith("data:"):
        return b""
    end = min(len(data), chars_max)
    try:
        return a2b_base64(data[: end - end % 4])
    except (Base64Error, ValueError):
        return b""


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _dicts(value: object) -> list[Json]:
    return [one for one in _list(value) if isinstance(one, dict)]
