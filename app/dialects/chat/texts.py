"""The words of one reply: text, refusals, reasoning and citations, each said once.

Upstreams repeat in `.done` events what their deltas said, and some leave the deltas out. So the
memory holds which parts were said, under each name that a part goes by: its item's index, its
item's id, or neither where a relay gives neither. Words stay the raw JSON strings they were.
"""

from collections.abc import Iterator, Mapping
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import Raw

from app.dialects.chat.events import (
    Annotation,
    AnnotationEvent,
    DoneEvent,
    Event,
    Item,
    Part,
    read,
    string_of,
)

Kind: TypeAlias = Literal["text", "refusal", "summary", "thought"]
_Key: TypeAlias = tuple[str, int | str, int]

_HEADS: Final[Mapping[Kind, bytes]] = {
    "text": b'{"content":',
    "refusal": b'{"refusal":',
    "summary": b'{"reasoning_content":',
    "thought": b'{"reasoning_content":',
}
_TAIL: Final = b"}"
_REASONING: Final = ("summary", "thought")
_PART_BREAK: Final = b'{"reasoning_content":"\\n\\n"}'
_NO_PARTS: Final[list[Part]] = []
_NO_ANNOTATIONS: Final[list[Raw]] = []


class Texts:
    """What was said so far."""

    def __init__(self) -> None:
        self.any_answer: bool = False
        """Text or a refusal was said."""
        self.open_text: tuple[int, int] | None = None
        """The output and content index of the text that is being said: more of it changes
        nothing in this memory. None if there is no such text, or the reply is over."""
        self._said: set[_Key] = set()
        self._reasoning_part: _Key | None = None

    def delta(self, kind: Kind, event: Event) -> Iterator[bytes]:
        """Say one more piece of a part."""
        if text := string_of(event.delta):
            index = _index(kind, event)
            yield from self._say(kind, event, index, text)
            if kind == "text" and event.output_index >= 0:
                self.open_text = (event.output_index, index)

    def done(self, kind: Kind, event: Event, data: bytes) -> Iterator[bytes]:
        """Say a whole part, unless its deltas did."""
        done = read(data, DoneEvent) or DoneEvent()
        raw = done.refusal if kind == "refusal" else done.text
        yield from self._once(kind, event, _index(kind, event), raw)

    def annotation(self, event: Event, data: bytes) -> Iterator[bytes]:
        """Say one citation."""
        if found := read(data, AnnotationEvent):
            self._note("annotation", event, event.content_index)
            yield from _citations([found.annotation])

    def message(self, event: Event, item: Item) -> Iterator[bytes]:
        """Say what of a whole message was not said yet."""
        for index, part in enumerate(read(item.content, list[Part]) or _NO_PARTS):
            yield from self._once("text", event, index, part.text)
            yield from self._once("refusal", event, index, part.refusal)
            if not self._was_said("annotation", event, index):
                raws = read(part.annotations, list[Raw]) or _NO_ANNOTATIONS
                found = [note for raw in raws if (note := read(raw, Annotation))]
                yield from _citations(found)

    def reasoning(self, event: Event, item: Item) -> Iterator[bytes]:
        """Say what of a whole reasoning item was not said yet."""
        for index, part in enumerate(read(item.summary, list[Part]) or _NO_PARTS):
            yield from self._once("summary", event, index, part.text)
        for index, part in enumerate(read(item.content, list[Part]) or _NO_PARTS):
            yield from self._once("thought", event, index, part.text)

    def _once(self, kind: Kind, event: Event, index: int, raw: Raw) -> Iterator[bytes]:
        if (text := string_of(raw)) and not self._was_said(kind, event, index):
            yield from self._say(kind, event, index, text)

    def _say(self, kind: Kind, event: Event, index: int, text: bytes) -> Iterator[bytes]:
        self._note(kind, event, index)
        if kind in _REASONING:
            part = (kind, event.output_index if event.output_index >= 0 else event.item_id, index)
            if self._reasoning_part not in {None, part}:
                yield _PART_BREAK
            self._reasoning_part = part
        else:
            self.any_answer = True
        yield _HEADS[kind] + text + _TAIL

    def _note(self, kind: str, event: Event, index: int) -> None:
        if event.output_index >= 0:
            self._said.add((kind, event.output_index, index))
        if event.item_id or event.output_index < 0:
            self._said.add((kind, event.item_id, index))

    def _was_said(self, kind: str, event: Event, index: int) -> bool:
        places: tuple[int | str, ...] = (event.output_index, event.item_id, "")
        return any((kind, place, index) in self._said for place in places)


def _index(kind: Kind, event: Event) -> int:
    return event.summary_index if kind == "summary" else event.content_index


def _citations(annotations: list[Annotation]) -> Iterator[bytes]:
    """Yield the delta that says the citations of pages; chat knows no other annotations."""
    cited = [
        {
            "type": "url_citation",
            "url_citation": {
                "start_index": note.start_index,
                "end_index": note.end_index,
                "url": note.url,
                "title": note.title,
            },
        }
        for note in annotations
        if note.type == "url_citation"
    ]
    if cited:
        yield msgspec.json.encode({"annotations": cited})
