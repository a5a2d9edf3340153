"""The tokens of one answer, in Anthropic's words.

Its `input_tokens` are those that no cache had: what was read from a cache and what was written to
one stand beside them, and the three add up to the whole prompt.
"""

from msgspec import Raw, Struct

from app.dialects.chat.events import ABSENT, read
from app.dialects.messages.schema import Json


class _Usage(Struct):
    """The upstream's count; any field may be missing or null."""

    input_tokens: Raw = ABSENT
    output_tokens: Raw = ABSENT
    input_tokens_details: Raw = ABSENT
    output_tokens_details: Raw = ABSENT


class _Details(Struct):
    """The parts of the upstream's count that have a name here."""

    cached_tokens: Raw = ABSENT
    cache_write_tokens: Raw = ABSENT
    reasoning_tokens: Raw = ABSENT


def usage_of(raw: Raw, *, searches: int = 0) -> Json:
    """Return the usage object for the upstream's usage object `raw`."""
    usage = read(raw, _Usage) or _Usage()
    given = read(usage.input_tokens_details, _Details) or _Details()
    made = read(usage.output_tokens_details, _Details) or _Details()
    cached, written = _count(given.cached_tokens), _count(given.cache_write_tokens)
    fields: Json = {
        "input_tokens": max(0, _count(usage.input_tokens) - cached - written),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": cached,
        "output_tokens": _count(usage.output_tokens),
    }
    if thought := _count(made.reasoning_tokens):
        fields["output_tokens_details"] = {"thinking_tokens": thought}
    if searches:
        fields["server_tool_use"] = {"web_search_requests": searches, "web_fetch_requests": 0}
    return fields


def _count(raw: Raw) -> int:
    return max(0, read(raw, int) or 0)
