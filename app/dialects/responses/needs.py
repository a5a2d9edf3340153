"""What a Responses request needs that not every kind of upstream can do, and how it tunes. Pure."""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Raw

from app.dialects.responses.schema import Head
from app.domain.needs import Need
from app.wire.violations import read

_TUNING: Final = (
    "include",
    "max_output_tokens",
    "metadata",
    "prompt_cache_retention",
    "safety_identifier",
    "temperature",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
)
_CHEAP_TIERS: Final = (Raw(b'"flex"'), Raw(b'"scale"'))
"""Tiers that the Codex backend has not, and the platform has."""
_NULL: Final = Raw(b"null")
_TRIGGER: Final = b'"compaction_trigger"'
_TAIL: Final = 512
"""A trigger is the last item and holds nothing, so it is found near the end."""
_HOSTED: Final[Mapping[str, Need]] = {
    "image_generation": Need.IMAGES,
    "web_search": Need.SEARCH,
    "web_search_preview": Need.SEARCH,
}


def needs_of(fields: Mapping[str, Raw], *, bound: bool) -> frozenset[Need]:
    """Return what the request needs.

    Args:
        fields: Its fields as raw JSON.
        bound: It holds a compaction, which only its maker can read.
    """
    found: set[Need] = {Need.SEALED} if bound else set()
    given = fields.get("input")
    if given is not None and _TRIGGER in bytes(memoryview(given)[-_TAIL:]):
        found.add(Need.COMPACTION)
    choice = fields.get("tool_choice")
    if choice is not None and bytes(memoryview(choice)[:1]) == b"{":
        need = _HOSTED.get(read(choice, Head, at="tool_choice").type or "")
        if need is not None:
            found.add(need)
    return frozenset(found)


def tuning_of(fields: Mapping[str, Raw]) -> bytes:
    """Return what the request asks for and only some kinds of upstream heed, as one JSON object."""
    told = {name: fields[name] for name in _TUNING if fields.get(name, _NULL) != _NULL}
    tier = fields.get("service_tier")
    if tier in _CHEAP_TIERS:
        told["service_tier"] = tier
    return msgspec.json.encode(told) if told else b""
