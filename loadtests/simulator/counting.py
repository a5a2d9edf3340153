"""How many tokens a request has, as the simulated backend bills them: with a real tokenizer.

Texts are counted one by one and remembered, since every turn of a conversation repeats those before
it. The cost of what stands around them is OpenAI's published one: of a message, of a function and
its properties, of the reply that begins, and of images by their size.
"""

import base64
import struct
from functools import cache, lru_cache
from math import ceil
from typing import Any

import orjson
from splintr import AnyTokenizer, Tokenizer

TEXTS_MAX = 8192
IMAGE_TOKENS = 1229
PAGE_TOKENS = 1500


def input_tokens(body: dict[str, Any]) -> int:
    """The input tokens of a Responses body, or of a Chat one."""
    count = 3
    instructions = body.get("instructions")
    if instructions:
        count += 4 + _text(str(instructions))
    given = body.get("input", body.get("messages"))
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    for item in items if isinstance(items, list) else ():
        count += 4 + (_item(item) if isinstance(item, dict) else 0)
    count += _tools(body.get("tools"))
    text = body.get("text")
    form = text.get("format") if isinstance(text, dict) else None
    if isinstance(form, dict) and "schema" in form:
        count += _text(orjson.dumps(form["schema"]).decode())
    return count


@cache
def _tokenizer() -> AnyTokenizer:
    return Tokenizer.from_pretrained("o200k_base")


@lru_cache(TEXTS_MAX)
def _text(text: str) -> int:
    return len(_tokenizer().encode_ordinary(text.encode("utf-8", "replace").decode()))


def _item(item: dict[str, Any]) -> int:
    count = _content(item.get("content"))
    for field in ("name", "arguments", "input"):
        if isinstance(item.get(field), str):
            count += _text(item[field])
    count += _content(item.get("output")) + _tools(item.get("tools"))
    sealed = item.get("encrypted_content")
    if isinstance(sealed, str):
        count += max(0, len(sealed) * 3 // 4 - 650) // 4
    return count


def _content(content: Any) -> int:
    if isinstance(content, str):
        return _text(content)
    parts = [part for part in content if isinstance(part, dict)] if content else []
    return sum(_part(part) for part in parts)


def _part(part: dict[str, Any]) -> int:
    if isinstance(part.get("text"), str):
        return _text(part["text"])
    if part.get("type") == "input_image":
        return _image(str(part.get("image_url")))
    return PAGE_TOKENS if part.get("type") == "input_file" else 0


def _image(url: str) -> int:
    """1.2 tokens for each patch of 32 x 32 of a PNG; any other counts as 1024 x 1024."""
    head, _, data = url.partition(";base64,")
    if not head.startswith("data:image/png"):
        return IMAGE_TOKENS
    width, height = struct.unpack(">II", base64.b64decode(data[:32])[16:24])
    patches = ceil(width / 32) * ceil(height / 32)
    return ceil(patches * 6 / 5) if 0 < patches <= 10_000 else IMAGE_TOKENS


def _tools(tools: Any) -> int:
    if not isinstance(tools, list) or not tools:
        return 0
    count = 12
    for tool in tools:
        if not isinstance(tool, dict):
            continue
        if tool.get("type") not in {"function", "custom"}:
            count += 32
            continue
        told = tool.get("function", tool)
        described = f"{told.get('name')}:{told.get('description') or ''}"
        count += 7 + _text(described) + _properties(told.get("parameters"))
    return count


def _properties(schema: Any) -> int:
    if isinstance(schema, list):
        return sum(_properties(one) for one in schema)
    if not isinstance(schema, dict):
        return 0
    count = sum(_properties(one) for one in schema.values())
    named = schema.get("properties")
    for name, one in named.items() if isinstance(named, dict) else ():
        fields = one if isinstance(one, dict) else {}
        said = f"{name}:{fields.get('type', '')}:{fields.get('description', '')}"
        count += 6 + _text(said)
        choices = fields.get("enum")
        for choice in choices if isinstance(choices, list) else ():
            count += 3 + _text(str(choice))
    return count
