"""A Responses request as OpenAI's platform takes it: that of the Codex backend, made free of it.

The platform heeds what the backend refuses (sampling, limits, cheaper tiers), does not know the
Lite form and the private fields of Codex clients, and refuses encrypted reasoning of models that
do not reason. Nothing is stored there either: conversations are continued from the gateway's own
memory, on whatever account is free.
"""

from typing import Final

import msgspec
from msgspec import Raw

from app.dialects.responses.lite import TOOLS_ITEM
from app.dialects.responses.options import ENCRYPTED_REASONING
from app.dialects.responses.schema import Head
from app.wire.violations import read

_TOP: Final = msgspec.json.Decoder(dict[str, Raw])
_ITEMS: Final = msgspec.json.Decoder(list[Raw])
_PRIVATE: Final = ("access_programs", "client_metadata", "stream_options")
_CHAT_ONLY: Final = ("frequency_penalty", "logit_bias", "presence_penalty", "seed", "stop")
_INCLUDE: Final = "include"


def to_platform(body: bytes, tuning: bytes, *, model: str) -> bytes:
    """Return the request that asks the platform what `body` asks the Codex backend.

    Args:
        body: The request, in its full or its Lite form.
        tuning: What else its caller asked for; see `app.domain.call.Call`.
        model: The model's name there.
    """
    fields = _TOP.decode(body)
    fields["model"] = Raw(msgspec.json.encode(model))
    for name in _PRIVATE:
        fields.pop(name, None)
    _leave_lite(fields)
    wanted = _TOP.decode(tuning) if tuning else {}
    for name in _CHAT_ONLY:
        wanted.pop(name, None)
    reasoning = _members(fields.get("reasoning"))
    if _INCLUDE not in wanted and "effort" not in reasoning:
        _leave_out_encrypted(fields)
    if reasoning.keys() == {"summary"} and reasoning["summary"] == Raw(b'"auto"'):
        # Asked for by the gateway itself, so that it could be shown; not every model has it.
        del fields["reasoning"]
    return msgspec.json.encode({**fields, **wanted})


def with_model(body: bytes, model: str) -> bytes:
    """Return any request with this model's name in it; `body` itself if it has it already."""
    fields = _TOP.decode(body)
    named = Raw(msgspec.json.encode(model))
    if fields.get("model") == named:
        return body
    fields["model"] = named
    return msgspec.json.encode(fields)


def _leave_lite(fields: dict[str, Raw]) -> None:
    """Say in fields what the Lite form says in its first item."""
    given = fields.get("input", Raw(b""))
    if bytes(memoryview(given)[:1]) != b"[":
        return
    items = _ITEMS.decode(given)
    if not items or read(items[0], Head, at="input[0]").type != TOOLS_ITEM:
        return
    tools = _members(items[0]).get("tools")
    if tools is not None and tools != Raw(b"[]"):
        fields["tools"] = tools
    fields["input"] = Raw(msgspec.json.encode(items[1:]))
    # In this form it is always false, which says nothing about what the caller wants.
    fields.pop("parallel_tool_calls", None)
    reasoning = _members(fields.get("reasoning"))
    if reasoning.pop("context", None) is not None:
        fields["reasoning"] = Raw(msgspec.json.encode(reasoning))


def _leave_out_encrypted(fields: dict[str, Raw]) -> None:
    """Ask for no encrypted reasoning; the backend is always asked for it."""
    given = fields.get(_INCLUDE)
    if given is None or given == Raw(b"null"):
        return
    named = read(given, list[str], at=_INCLUDE)
    kept = [one for one in named if one != ENCRYPTED_REASONING]
    if kept:
        fields[_INCLUDE] = Raw(msgspec.json.encode(kept))
    else:
        del fields[_INCLUDE]


def _members(value: Raw | None) -> dict[str, Raw]:
    if value is None or bytes(memoryview(value)[:1]) != b"{":
        return {}
    return _TOP.decode(value)
