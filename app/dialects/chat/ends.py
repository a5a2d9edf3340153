"""How the last event of a reply says that it ended, as all translators understand it. Pure."""

from enum import Enum, auto
from typing import Final

from msgspec import Struct

from app.dialects.chat.events import Event, IncompleteDetails, Response, ResponseEvent, read

_FAILED: Final = ("failed", "cancelled")


class Why(Enum):
    """Why a reply is over."""

    WHOLE = auto()
    LENGTH = auto()
    FILTER = auto()
    FAILED = auto()


class End(Struct, frozen=True):
    """The end of a reply: the response as the event has it, empty if it has none, and why."""

    response: Response
    why: Why


def end_of(event: Event, data: bytes) -> End:
    """Return what an event says that ends a reply; its type and its status both count."""
    found = read(data, ResponseEvent)
    response = found.response if found else Response()
    status = read(response.status, str)
    if event.type == "response.failed" or status in _FAILED:
        return End(response, Why.FAILED)
    if event.type != "response.incomplete" and status != "incomplete":
        return End(response, Why.WHOLE)
    details = read(response.incomplete_details, IncompleteDetails)
    filtered = details is not None and details.reason == "content_filter"
    return End(response, Why.FILTER if filtered else Why.LENGTH)
