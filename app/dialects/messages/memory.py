"""What of a reply was said already, so that nothing is said twice.

Upstreams repeat in `.done` events and in the last event what their deltas said, and some leave the
deltas out. A part goes by its item's index, its item's id, or neither where a relay gives neither.
"""

from typing import Literal, TypeAlias

from app.dialects.chat.events import Event

Part: TypeAlias = Literal["text", "refusal", "summary", "thought", "item", "citation"]
_Place: TypeAlias = int | str


class Said:
    """The parts that were said."""

    def __init__(self) -> None:
        self._known: set[tuple[Part, _Place, int]] = set()

    def note(self, part: Part, event: Event, index: int = 0) -> None:
        """Remember that a part was said."""
        if event.output_index >= 0:
            self._known.add((part, event.output_index, index))
        if event.item_id or event.output_index < 0:
            self._known.add((part, event.item_id, index))

    def has(self, part: Part, event: Event, index: int = 0) -> bool:
        """Tell whether a part was said."""
        places: tuple[_Place, ...] = (event.output_index, event.item_id, "")
        return any((part, place, index) in self._known for place in places)


def place_of(event: Event) -> _Place:
    """Return the name of the item that an event belongs to."""
    return event.output_index if event.output_index >= 0 else event.item_id
