"""The tokens of one answer, in chat's words, every field there.

Typed callers read the details without asking whether they exist, so what the upstream leaves out
is zero.
"""

import msgspec
from msgspec import Raw, Struct

from app.dialects.chat.events import ABSENT, read


class _Usage(Struct):
    """The upstream's count; any field may be missing or null."""

    input_tokens: Raw = ABSENT
    output_tokens: Raw = ABSENT
    total_tokens: Raw = ABSENT
    input_tokens_details: Raw = ABSENT
    output_tokens_details: Raw = ABSENT


class _Details(Struct):
    """The parts of the upstream's count that chat knows."""

    cached_tokens: Raw = ABSENT
    reasoning_tokens: Raw = ABSENT


def usage_of(raw: Raw) -> bytes:
    """Return chat's usage object, encoded, for the upstream's usage object `raw`."""
    usage = read(raw, _Usage) or _Usage()
    prompt, completion = _count(usage.input_tokens), _count(usage.output_tokens)
    input_details = read(usage.input_tokens_details, _Details) or _Details()
    output_details = read(usage.output_tokens_details, _Details) or _Details()
    fields = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": _count(usage.total_tokens) or prompt + completion,
        "prompt_tokens_details": {
            "cached_tokens": _count(input_details.cached_tokens),
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": _count(output_details.reasoning_tokens),
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
    return msgspec.json.encode(fields)


def _count(raw: Raw) -> int:
    return read(raw, int) or 0
