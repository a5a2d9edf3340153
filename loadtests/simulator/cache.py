"""The prompt cache as the backend bills it: tokens of the longest prefix seen before.

Keyed by account and by the session id or `prompt_cache_key`, compared item by item. Prefixes
count from 1,024 tokens on, in steps of 128.
"""

import zlib
from collections import OrderedDict
from typing import Any

import orjson

KEYS_MAX = 8192
TOKENS_MIN = 1024
STEP = 128
BYTES_PER_TOKEN = 4


class PromptCache:
    """What was sent last under each key."""

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[str, str], list[tuple[int, int]]] = OrderedDict()

    def clear(self) -> None:
        """Forget everything."""
        self._seen.clear()

    def cached_tokens(self, account: str, key: str | None, body: dict[str, Any]) -> int:
        """The cached share of this input, which is remembered in turn."""
        if not key:
            return 0
        parts = [body.get("instructions"), body.get("tools"), *_items(body.get("input"))]
        prints = []
        for part in parts:
            encoded = orjson.dumps(part)
            prints.append((len(encoded), zlib.crc32(encoded)))
        before = self._seen.get((account, key), [])
        same = 0
        for old, new in zip(before, prints, strict=False):
            if old != new:
                break
            same += new[0]
        self._seen[account, key] = prints
        self._seen.move_to_end((account, key))
        if len(self._seen) > KEYS_MAX:
            self._seen.popitem(last=False)
        tokens = same // BYTES_PER_TOKEN // STEP * STEP
        return tokens if tokens >= TOKENS_MIN else 0


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
