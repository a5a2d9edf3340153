"""The words of one reply: text, refusals and citations, as text blocks, each said once."""

from collections.abc import Iterator
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import Raw

from app.dialects.chat.events import (
    Annotation,
    AnnotationEvent,
    DoneEvent,
    Event,
    Part,
    read,
    string_of,
)
from app.dialects.messages.blocks import Block, Blocks
from app.dialects.messages.items import Item
from app.dialects.messages.memory import Said, place_of
from app.dialects.messages.schema import Json
from app.dialects.messages.stops import Stops

Kind: TypeAlias = Literal["text", "refusal"]

_EMPTY: Final[Json] = {"type": "text", "text": ""}
_NO_PARTS: Final[list[Part]] = []
_NO_ANNOTATIONS: Final[list[Raw]] = []


class Texts:
    """What was said so far, and the block that is being said."""

    def __init__(self, blocks: Blocks, said: Said, stops: Stops | None) -> None:
        self.any: bool = False
        """Text or a refusal was said."""
        self.refused = False
        self.block: Block | None = None
        self._part: tuple[Kind, int | str, int] | None = None
        self._blocks = blocks
        self._said = said
        self._stops = stops

    def flowing(self, event: Event) -> Block | None:
        """Return the block to which more text like this event's may go without being looked at."""
        block = self.block
        if block is None or block.ended or self._stops or not self._blocks.speaking:
            return None
        part = ("text", event.output_index, event.content_index)
        return block if event.output_index >= 0 and part == self._part else None

    def delta(self, kind: Kind, event: Event) -> Iterator[bytes]:
        """Say one more piece of a part."""
        if text := string_of(event.delta):
            yield from self._say(kind, event, event.content_index, text)

    def done(self, kind: Kind, event: Event, data: bytes) -> Iterator[bytes]:
        """Say a whole part, unless its deltas did."""
        done = read(data, DoneEvent) or DoneEvent()
        raw = done.refusal if kind == "refusal" else done.text
        yield from self._once(kind, event, event.content_index, raw)

    def annotation(self, event: Event, data: bytes) -> Iterator[bytes]:
        """Say one citation."""
        found = read(data, AnnotationEvent)
        if found and self._is_open("text", event, event.content_index):
            self._said.note("citation", event, event.content_index)
            yield from self._cite(found.annotation)

    def message(self, event: Event, item: Item) -> Iterator[bytes]:
        """Say what of a whole message was not said yet, and end it."""
        for index, part in enumerate(read(item.content, list[Part]) or _NO_PARTS):
            yield from self._once("text", event, index, part.text)
            yield from self._once("refusal", event, index, part.refusal)
            cited = self._said.has("citation", event, index)
            if not cited and self._is_open("text", event, index):
                for raw in read(part.annotations, list[Raw]) or _NO_ANNOTATIONS:
                    if note := read(raw, Annotation):
                        yield from self._cite(note)
        if self.block and self._part and self._part[1] == place_of(event):
            yield from self._blocks.end(self.block)

    def _once(self, kind: Kind, event: Event, index: int, raw: Raw) -> Iterator[bytes]:
        if (text := string_of(raw)) and not self._said.has(kind, event, index):
            yield from self._say(kind, event, index, text)

    def _say(self, kind: Kind, event: Event, index: int, text: bytes) -> Iterator[bytes]:
        self._said.note(kind, event, index)
        self.any = True
        self.refused = self.refused or kind == "refusal"
        if self._stops:
            text = self._stops.feed(text)
        if not self._is_open(kind, event, index):
            self.block, begun = self._blocks.begin(_EMPTY)
            self._part = (kind, place_of(event), index)
            yield from begun
        if text and self.block:
            yield from self._blocks.more(self.block, "text", text)

    def _is_open(self, kind: Kind, event: Event, index: int) -> bool:
        if self.block is None or self.block.ended:
            return False
        return self._part == (kind, place_of(event), index)

    def _cite(self, note: Annotation) -> Iterator[bytes]:
        """Say where on the web something was found; other annotations have no place here."""
        if note.type != "url_citation" or self.block is None:
            return
        citation = {
            "type": "web_search_result_location",
            "url": note.url,
            "title": note.title,
            "encrypted_index": "",
            "cited_text": "",
        }
        yield from self._blocks.more(self.block, "citation", msgspec.json.encode(citation))
