"""What chat replies need of the upstream's events, as projections.

An event is decoded once into the small `Event`, whose `delta` stays the raw JSON string it was,
so that text is passed on without being decoded or encoded. Rarer events are read a second time
for what only they carry. Upstreams and relays bend the form, so nothing here raises: what has
not the expected type is as if it were not there.
"""

from typing import Final, TypeVar

import msgspec
from msgspec import Raw, Struct

T = TypeVar("T")

ABSENT: Final = Raw(b"")
_QUOTE: Final = b'"'


class Event(Struct, gc=False):
    """The fields that say what an event is and what it belongs to."""

    type: str = ""
    delta: Raw = ABSENT
    output_index: int = -1
    content_index: int = 0
    summary_index: int = 0
    item_id: str = ""


class Item(Struct):
    """One output item: a message, a call, reasoning or an image."""

    type: str = ""
    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: Raw = ABSENT
    input: Raw = ABSENT
    content: Raw = ABSENT
    summary: Raw = ABSENT
    result: str | None = None
    output_format: str | None = None


class ItemEvent(Struct):
    """An event about a whole item."""

    item: Item


class DoneEvent(Struct):
    """An event that repeats what its deltas said; one of the fields is there."""

    text: Raw = ABSENT
    refusal: Raw = ABSENT
    arguments: Raw = ABSENT
    input: Raw = ABSENT


class Annotation(Struct):
    """Where in the text a page is cited."""

    type: str
    url: str
    title: str = ""
    start_index: int = 0
    end_index: int = 0


class AnnotationEvent(Struct):
    """An event that adds one annotation."""

    annotation: Annotation


class Part(Struct):
    """One part of a message or of a reasoning summary."""

    type: str = ""
    text: Raw = ABSENT
    refusal: Raw = ABSENT
    annotations: Raw = ABSENT


class Response(Struct):
    """The response as its last event has it."""

    status: Raw = ABSENT
    error: Raw = ABSENT
    incomplete_details: Raw = ABSENT
    usage: Raw = ABSENT
    output: Raw = ABSENT
    service_tier: Raw = ABSENT


class ResponseEvent(Struct):
    """An event about the whole response."""

    response: Response


class IncompleteDetails(Struct):
    """Why an answer was cut."""

    reason: str


_EVENT: Final = msgspec.json.Decoder(Event)
_FIELDS: Final = msgspec.json.Decoder(dict[str, Raw])


def event_of(data: bytes) -> Event:
    """Return the event in `data`; an empty one if it is no JSON object."""
    try:
        return _EVENT.decode(data)
    except (ValueError, RecursionError):
        return _odd_event(data)


def read(data: bytes | Raw, form: type[T]) -> T | None:
    """Return what is in `data` if it is a `form`."""
    try:
        return msgspec.json.decode(data, type=form)
    except (ValueError, RecursionError):
        return None


def string_of(raw: Raw) -> bytes:
    """Return `raw` if it is a JSON string that is not empty, else nothing."""
    data = bytes(raw)
    return data if data.startswith(_QUOTE) and len(data) > 2 else b""


def arguments_of(raw: Raw) -> bytes:
    """Return a call's arguments as a JSON string; relays send the object itself."""
    data = bytes(raw)
    if data.startswith(b"{"):
        return msgspec.json.encode(data.decode(errors="replace"))
    return string_of(raw)


def _odd_event(data: bytes) -> Event:
    """Return what can be understood of an event that has a field of the wrong type."""
    fields = read(data, dict[str, Raw]) or {}
    wanted = {"type": str, "output_index": int, "content_index": int, "summary_index": int}
    wanted["item_id"] = str
    found = {name: read(fields.get(name, ABSENT), form) for name, form in wanted.items()}
    good = {name: value for name, value in found.items() if value is not None}
    return msgspec.convert(good | {"delta": fields.get("delta", ABSENT)}, Event)
