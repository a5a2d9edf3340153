"""Searches of the web that the upstream made, as the blocks by which callers know them.

The call and its result stand next to each other, said when the search is done; the upstream tells
no more of a page than its address. A result is nothing that has to be sent back.
"""

import re
from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Raw, Struct

from app.dialects.chat.events import ABSENT, Event, read
from app.dialects.messages.blocks import Blocks
from app.dialects.messages.items import Item
from app.dialects.messages.memory import Said
from app.dialects.messages.schema import Json

SEARCH_TYPE: Final = "web_search_call"
_TOOL: Final = "web_search"
_ODD: Final = re.compile(r"[^a-zA-Z0-9_]")
_NO_SOURCES: Final[list[Raw]] = []


class _Action(Struct):
    query: Raw = ABSENT
    queries: Raw = ABSENT
    url: Raw = ABSENT
    sources: Raw = ABSENT


class _Source(Struct):
    url: str
    title: str | None = None


class Searches:
    """The searches so far."""

    def __init__(self, blocks: Blocks, said: Said) -> None:
        self._blocks = blocks
        self._said = said
        self.count = 0

    def done(self, event: Event, item: Item) -> Iterator[bytes]:
        """Say a search and what it has found."""
        if self._said.has("item", event):
            return
        self._said.note("item", event)
        self.count += 1
        action = read(item.action, _Action) or _Action()
        call_id = f"srvtoolu_{_ODD.sub('', item.id or '')[-48:] or self.count}"
        call: Json = {"type": "server_tool_use", "id": call_id, "name": _TOOL, "input": {}}
        block, begun = self._blocks.begin(call)
        yield from begun
        asked = msgspec.json.encode({"query": _query(action)}).decode()
        yield from self._blocks.more(block, "json", msgspec.json.encode(asked))
        yield from self._blocks.end(block)
        result: Json = {"type": "web_search_tool_result", "tool_use_id": call_id}
        block, begun = self._blocks.begin(result | {"content": _found(action)})
        yield from begun
        yield from self._blocks.end(block)


def _query(action: _Action) -> str:
    several = read(action.queries, list[str]) or []
    return read(action.query, str) or "; ".join(several) or read(action.url, str) or ""


def _found(action: _Action) -> list[Json]:
    sources = [read(raw, _Source) for raw in read(action.sources, list[Raw]) or _NO_SOURCES]
    return [
        {
            "type": "web_search_result",
            "url": source.url,
            "title": source.title or source.url,
            "encrypted_content": "",
            "page_age": None,
        }
        for source in sources
        if source
    ]
