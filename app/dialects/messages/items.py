"""What Messages replies need of the upstream's output items, as projections.

The events themselves are read as for chat (`app.dialects.chat.events`): nothing here raises either,
and what has not the expected type is as if it were not there.
"""

from msgspec import Raw, Struct

from app.dialects.chat.events import ABSENT, Event, read


class Item(Struct):
    """One output item: a message, a call, reasoning or a search."""

    type: str = ""
    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: Raw = ABSENT
    input: Raw = ABSENT
    content: Raw = ABSENT
    summary: Raw = ABSENT
    action: Raw = ABSENT
    encrypted_content: Raw = ABSENT


class _ItemEvent(Struct):
    item: Item


def item_of(event: Event, data: bytes) -> Item:
    """Return the item of `event`, and let the event go by the item's id."""
    found = read(data, _ItemEvent)
    item = found.item if found else Item()
    event.item_id = event.item_id or item.id or ""
    return item
