"""The reasoning of one reply as thinking blocks, sealed so that the same account can read it again.

An item is one block, its parts set apart by an empty line. The seal comes when the item is done;
where there is nothing to read, the seal is all there is of it. A caller that did not ask for
thinking gets none.
"""

from collections.abc import Iterator
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import Raw

from app.dialects.chat.events import DoneEvent, Event, Part, read, string_of
from app.dialects.messages.blocks import Block, Blocks
from app.dialects.messages.items import Item
from app.dialects.messages.memory import Said, place_of
from app.dialects.messages.schema import Json, Shown
from app.dialects.messages.seals import sealed

Kind: TypeAlias = Literal["summary", "thought"]

_EMPTY: Final[Json] = {"type": "thinking", "thinking": "", "signature": ""}
_PART_BREAK: Final = b'"\\n\\n"'
_NO_PARTS: Final[list[Part]] = []


class Thoughts:
    """What was said so far, and the block that is being said."""

    def __init__(self, blocks: Blocks, said: Said, shown: Shown) -> None:
        self._blocks = blocks
        self._said = said
        self._shown = shown
        self._block: Block | None = None
        self._place: int | str | None = None
        self._part: tuple[Kind, int] | None = None

    def delta(self, kind: Kind, event: Event) -> Iterator[bytes]:
        """Say one more piece of a part."""
        if text := string_of(event.delta):
            yield from self._say(kind, event, _index(kind, event), text)

    def done(self, kind: Kind, event: Event, data: bytes) -> Iterator[bytes]:
        """Say a whole part, unless its deltas did."""
        done = read(data, DoneEvent) or DoneEvent()
        yield from self._once(kind, event, _index(kind, event), done.text)

    def item(self, event: Event, item: Item) -> Iterator[bytes]:
        """Say what of a whole item was not said yet, seal it and end it."""
        for index, part in enumerate(read(item.summary, list[Part]) or _NO_PARTS):
            yield from self._once("summary", event, index, part.text)
        for index, part in enumerate(read(item.content, list[Part]) or _NO_PARTS):
            yield from self._once("thought", event, index, part.text)
        encrypted = read(item.encrypted_content, str)
        if encrypted and self._shown != "nothing" and not self._said.has("item", event):
            self._said.note("item", event)
            yield from self._seal(event, sealed(encrypted))
        if self._is_open(event) and self._block:
            yield from self._blocks.end(self._block)

    def _seal(self, event: Event, signature: str) -> Iterator[bytes]:
        if not self._is_open(event):
            if self._shown == "all":
                redacted: Json = {"type": "redacted_thinking", "data": signature}
                block, begun = self._blocks.begin(redacted)
                yield from begun
                yield from self._blocks.end(block)
                return
            self._block, begun = self._blocks.begin(_EMPTY)
            self._place = place_of(event)
            yield from begun
        if self._block:
            yield from self._blocks.more(self._block, "signature", msgspec.json.encode(signature))

    def _once(self, kind: Kind, event: Event, index: int, raw: Raw) -> Iterator[bytes]:
        if (text := string_of(raw)) and not self._said.has(kind, event, index):
            yield from self._say(kind, event, index, text)

    def _say(self, kind: Kind, event: Event, index: int, text: bytes) -> Iterator[bytes]:
        self._said.note(kind, event, index)
        if self._shown != "all":
            return
        if not self._is_open(event):
            self._block, begun = self._blocks.begin(_EMPTY)
            self._place, self._part = place_of(event), (kind, index)
            yield from begun
        if self._block is None:
            return
        if self._part != (kind, index):
            self._part = (kind, index)
            yield from self._blocks.more(self._block, "thinking", _PART_BREAK)
        yield from self._blocks.more(self._block, "thinking", text)

    def _is_open(self, event: Event) -> bool:
        if self._block is None or self._block.ended:
            return False
        return self._place == place_of(event)


def _index(kind: Kind, event: Event) -> int:
    return event.summary_index if kind == "summary" else event.content_index
