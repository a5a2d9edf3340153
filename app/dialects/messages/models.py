"""The list of models as Anthropic's clients read it, a page at a time. Pure."""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from app.dialects.messages.schema import Json
from app.dialects.messages.violations import wrong

PAGE: Final = 20
PAGE_MAX: Final = 1_000
_SINCE: Final = "1970-01-01T00:00:00Z"
"""When a model was made is not known here; Anthropic's documents name this date for that."""


class Page(Struct, frozen=True):
    """Which part of the list is wanted."""

    limit: int = PAGE
    after_id: str | None = None
    before_id: str | None = None


def page_of(query: dict[str, list[str]]) -> Page:
    """Return what a query string asks for.

    Raises:
        InvalidRequest: The limit is no number from 1 to 1000.
    """
    given = {name: values[-1] for name, values in query.items() if values}
    limit = given.get("limit", str(PAGE))
    if not limit.isascii() or not limit.isdigit() or not 1 <= int(limit[:9]) <= PAGE_MAX:
        raise wrong("limit", f"Input should be a number from 1 to {PAGE_MAX}.")
    return Page(int(limit), given.get("after_id"), given.get("before_id"))


def list_body(names: Sequence[str], page: Page) -> bytes:
    """Return one page of the models' list. An id that is not in the list starts it anew."""
    start, end = 0, len(names)
    if page.after_id in names:
        start = names.index(page.after_id) + 1
    if page.before_id in names:
        end = names.index(page.before_id)
        start = max(start, end - page.limit)
    shown = names[start : min(end, start + page.limit)]
    fields: Json = {
        "data": [_model(name) for name in shown],
        "has_more": start + len(shown) < len(names) if page.before_id is None else start > 0,
        "first_id": shown[0] if shown else None,
        "last_id": shown[-1] if shown else None,
    }
    return msgspec.json.encode(fields)


def model_body(name: str) -> bytes:
    """Return one model."""
    return msgspec.json.encode(_model(name))


def _model(name: str) -> Json:
    return {
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": _SINCE,
        "lifecycle": "active",
    }
