"""A Chat Completions request, said in Responses. Pure.

`decode` checks the form, `to_responses` the sense; both name the field that is wrong, before an
account is touched. The result is a `ChatCall`: the encoded upstream body, and what the reply's
translator and the edge must remember of the request. The parts are translated by `messages`,
`tools` and `options`.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from app.dialects.chat import options, responses_shaped
from app.dialects.chat.messages import to_input
from app.dialects.chat.schema import ChatRequest, Json
from app.dialects.chat.tools import Toolbox, tool_choice, toolbox
from app.dialects.chat.violations import missing_field, violation
from app.errors import InvalidRequest
from app.wire.violations import decoded

_REQUEST: Final = msgspec.json.Decoder(ChatRequest)
_TOO_DEEP: Final = "The request body is nested too deeply."


class ChatCall(Struct, frozen=True):
    """One chat call: what goes upstream, and what its reply needs to know."""

    model: str
    """As the caller wrote it; replies repeat it."""
    stream: bool
    include_usage: bool
    prompt_cache_key: str | None
    """As the caller wrote it, not yet kept apart from other callers' keys."""
    body: bytes
    """The Responses request, encoded."""
    tool_names: Mapping[str, str]
    """Shortened upstream name to the caller's name, only where they differ."""
    legacy_functions: bool
    """The caller sent `functions`: answer with `function_call`, not `tool_calls`."""


def decode(body: bytes) -> ChatRequest:
    """Return the request in `body`, its known fields checked.

    Raises:
        InvalidRequest: It is no JSON, or a field has a wrong type, range or word.
    """
    return decoded(body, _REQUEST, violation)


def to_responses(
    request: ChatRequest,
    *,
    upstream_model: str,
    efforts: Sequence[str] | None,
    cache_key: str | None = None,
) -> ChatCall:
    """Return the call that asks the upstream what `request` asks.

    Args:
        request: What the caller asks.
        upstream_model: The model's name upstream.
        efforts: The model's reasoning efforts; None if they aren't known.
        cache_key: The prompt cache key to send instead of the caller's own.

    Raises:
        InvalidRequest: The request asks for what can't be given or said.
        CallerError: The request continues a response that isn't stored anywhere.
    """
    options.refuse_unsupported(request)
    shaped = responses_shaped.is_responses_shaped(request)
    box = toolbox(request, known_types_only=not shaped)
    body: Json = {"model": upstream_model}
    body |= responses_shaped.to_fields(request) if shaped else _from_messages(request)
    body |= _tool_fields(request, box)
    body |= {"store": False, "stream": True}
    body["reasoning"] = options.reasoning(request, model=request.model, efforts=efforts)
    _add_text(body, options.text(request))
    if tier := options.service_tier(request):
        body["service_tier"] = tier
    if key := cache_key or request.prompt_cache_key:
        body["prompt_cache_key"] = key
    stream_options = request.stream_options
    return ChatCall(
        model=request.model,
        stream=bool(request.stream),
        include_usage=bool(stream_options and stream_options.include_usage),
        prompt_cache_key=request.prompt_cache_key,
        body=_encode(body),
        tool_names=box.names,
        legacy_functions=box.legacy,
    )


def _from_messages(request: ChatRequest) -> Json:
    if request.messages is None:
        raise missing_field("messages")
    return {
        "instructions": "",
        "input": to_input(request.messages),
        "include": [responses_shaped.ENCRYPTED_REASONING],
    }


def _tool_fields(request: ChatRequest, box: Toolbox) -> Json:
    """Return the fields about tools; none if there are no tools to speak of."""
    fields: Json = {}
    choice = tool_choice(request, box.tools)
    if not box.tools:
        return fields
    fields["tools"] = box.tools
    if choice is not None:
        fields["tool_choice"] = choice
    if box.legacy:
        # `function_call` holds one call, so more than one couldn't be answered.
        fields["parallel_tool_calls"] = False
    elif request.parallel_tool_calls is not None:
        fields["parallel_tool_calls"] = request.parallel_tool_calls
    return fields


def _add_text(body: Json, fields: Json) -> None:
    """Add the wished form of the answer to `body`, and the word that JSON mode needs."""
    own = body.get("text")
    merged = (own if isinstance(own, dict) else {}) | fields
    if merged:
        body["text"] = merged
    items = body["input"]
    if merged.get("format") == {"type": "json_object"} and isinstance(items, list):
        body["input"] = options.with_json_word(items)


def _encode(body: Json) -> bytes:
    """Return `body` as JSON.

    Raises:
        InvalidRequest: A schema or an item in it is nested too deeply.
    """
    try:
        return msgspec.json.encode(body)
    except RecursionError:
        raise InvalidRequest(_TOO_DEEP) from None
