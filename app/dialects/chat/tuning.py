"""What a chat request asks for and only some kinds of upstream heed: sampling and limits. Pure."""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Raw

_KEPT: Final = (
    "frequency_penalty",
    "logit_bias",
    "metadata",
    "presence_penalty",
    "prompt_cache_retention",
    "safety_identifier",
    "seed",
    "stop",
    "temperature",
    "top_p",
    "user",
)
_LIMITS: Final = ("max_completion_tokens", "max_tokens")
"""Two names of one limit; the newer one counts."""
_CHEAP_TIERS: Final = (Raw(b'"flex"'), Raw(b'"scale"'))
"""Tiers that the Codex backend has not, and the platform has."""
_NULL: Final = Raw(b"null")


def tuning_of(fields: Mapping[str, Raw]) -> bytes:
    """Return these of a request's fields as one JSON object, under the names of Responses."""
    told = {name: fields[name] for name in _KEPT if fields.get(name, _NULL) != _NULL}
    for name in _LIMITS:
        if fields.get(name, _NULL) != _NULL:
            told["max_output_tokens"] = fields[name]
            break
    tier = fields.get("service_tier")
    if tier in _CHEAP_TIERS:
        told["service_tier"] = tier
    return msgspec.json.encode(told) if told else b""
