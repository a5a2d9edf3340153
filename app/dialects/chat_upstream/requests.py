"""A Responses request, said to an upstream that speaks Chat Completions. Pure.

What is read here is a request as the Codex backend takes it, in its full or its Lite form; that its
fields have the right types is checked first (`shape`). Text, images, files, tool calls and their
results are conserved. What chat has no word for is left out: encrypted reasoning, which nobody but
its maker can read, and hosted tools, which the upstream does not have; that a call insists on one
of those is known to selection (`app.domain.needs`).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from app.dialects.chat_upstream.messages import messages_of
from app.dialects.chat_upstream.shape import check
from app.dialects.chat_upstream.tools import Tools, tools_of
from app.wire.violations import decoded

_TOP: Final = msgspec.json.Decoder(dict[str, Any])
_TOOLS_ITEM: Final = "additional_tools"
_PLATFORM_ONLY: Final = frozenset({"metadata", "prompt_cache_retention", "safety_identifier"})
"""Options that OpenAI's platform has and other servers may refuse."""
_RESPONSES_ONLY: Final = frozenset({"max_tool_calls", "top_logprobs", "truncation"})
_EFFORTS: Final[Mapping[str, str]] = {"xhigh": "high", "max": "high", "ultra": "high"}
"""Efforts that only some of OpenAI's models know, and what comes next to them."""


class ChatAsked(Struct, frozen=True):
    """What is sent, and what the reply's translator must know of it."""

    body: bytes
    free_form: frozenset[str]
    """Tools with free-form input that were sent as functions of one text."""


def to_chat(body: bytes, tuning: bytes, *, model: str, platform: bool) -> ChatAsked:
    """Return the chat request that asks what `body` asks, as a stream with its usage.

    Args:
        body: The Responses request.
        tuning: What else its caller asked for; see `app.domain.call.Call`.
        model: The model's name at this upstream.
        platform: The upstream is OpenAI's own, which knows more words than other servers.

    Raises:
        InvalidRequest: Something in it has a type, or is a number, that it can't be.
        NotSupportedByUpstream: A picture or a file is not in the request but only named in it.
    """
    asked = decoded(body, _TOP)
    check(asked)
    items, lite_tools = _without_tools(asked.get("input") or [])
    tools = tools_of(
        lite_tools if lite_tools is not None else asked.get("tools") or [],
        asked.get("tool_choice"),
        platform=platform,
    )
    chat: dict[str, Any] = {
        "model": model,
        "messages": messages_of(items, asked.get("instructions"), platform=platform),
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if platform:
        # The platform pads its chunks otherwise, so that their sizes tell nothing to eavesdroppers;
        # the gateway's own events do not, and padding would be thrown away.
        chat["stream_options"]["include_obfuscation"] = False
    chat |= _tool_fields(asked, tools, lite=lite_tools is not None)
    chat |= _form(asked.get("text"), platform=platform)
    chat |= _effort(asked.get("reasoning"), platform=platform)
    if platform:
        chat |= {
            name: asked[name] for name in ("service_tier", "prompt_cache_key") if asked.get(name)
        }
    if tuning:
        chat |= _tuned(decoded(tuning, _TOP), platform=platform)
    return ChatAsked(msgspec.json.encode(chat), tools.free_form)


def _without_tools(items: str | list[dict[str, Any]]) -> tuple[Sequence[Any], list[Any] | None]:
    """Return the input's items, and the tools that stand first in the Lite form; None if not."""
    if isinstance(items, str):
        return [{"role": "user", "content": items}], None
    if items and items[0].get("type") == _TOOLS_ITEM:
        return items[1:], items[0].get("tools") or []
    return items, None


def _tool_fields(asked: dict[str, Any], tools: Tools, *, lite: bool) -> dict[str, Any]:
    if not tools.tools:
        return {}
    fields: dict[str, Any] = {"tools": tools.tools}
    if tools.choice is not None:
        fields["tool_choice"] = tools.choice
    # In the Lite form it is always false, which says nothing about what the caller wants.
    if asked.get("parallel_tool_calls") is False and not lite:
        fields["parallel_tool_calls"] = False
    return fields


def _form(text: dict[str, Any] | None, *, platform: bool) -> dict[str, Any]:
    """Return the wished form of the answer in chat's words."""
    if not text:
        return {}
    fields: dict[str, Any] = {}
    form = text.get("format") or {}
    if form.get("type") == "json_schema":
        schema = {name: value for name, value in form.items() if name != "type"}
        fields["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif form.get("type") == "json_object":
        fields["response_format"] = {"type": "json_object"}
    if platform and text.get("verbosity"):
        fields["verbosity"] = text["verbosity"]
    return fields


def _effort(reasoning: dict[str, Any] | None, *, platform: bool) -> dict[str, Any]:
    effort = (reasoning or {}).get("effort")
    if not effort:
        return {}
    return {"reasoning_effort": effort if platform else _EFFORTS.get(effort, effort)}


def _tuned(tuning: dict[str, Any], *, platform: bool) -> dict[str, Any]:
    """Return the options in chat's words, without those that the upstream may not know."""
    left_out = _RESPONSES_ONLY if platform else _RESPONSES_ONLY | _PLATFORM_ONLY
    chat = {name: value for name, value in tuning.items() if name not in left_out}
    if "max_output_tokens" in chat:
        # The old name is the one that every other server knows, and that new models refuse.
        name = "max_completion_tokens" if platform else "max_tokens"
        chat[name] = chat.pop("max_output_tokens")
    return chat
