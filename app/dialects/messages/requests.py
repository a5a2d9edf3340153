"""A Messages request, said in Responses. Pure.

`decode` checks the form, `to_responses` the sense; both name the field that is wrong, before an
account is touched. The result is a `MessagesCall`: the encoded upstream body, and what the reply's
translator and the edge must remember of the request.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from app.dialects.messages import options
from app.dialects.messages.conversation import to_input
from app.dialects.messages.schema import Json, MessagesRequest, Shown
from app.dialects.messages.tools import SEARCH_SOURCES, WEB_SEARCH, tool_fields, toolbox
from app.dialects.messages.violations import wrong
from app.errors import InvalidRequest
from app.wire.violations import decoded

_REQUEST: Final = msgspec.json.Decoder(MessagesRequest)
_SEALED: Final = "reasoning.encrypted_content"
_TOO_DEEP: Final = "The request is nested too deeply."


class MessagesCall(Struct, frozen=True):
    """A request on its way, and what must be remembered of it until the reply is said."""

    model: str
    """As the caller named it."""
    body: bytes
    """What goes upstream."""
    tool_names: Mapping[str, str]
    """Shortened upstream name to the caller's name, only where they differ."""
    shown: Shown = "nothing"
    """How much of the model's thinking the caller gets."""
    stop_sequences: tuple[str, ...] = ()
    insists_on_search: bool = False
    """The web is to be searched, not just may be."""


def decode(body: bytes) -> MessagesRequest:
    """Return the request in `body`, its known fields checked.

    Raises:
        InvalidRequest: It is no JSON, or a field has a wrong type, range or word.
    """
    return decoded(body, _REQUEST)


def to_responses(
    request: MessagesRequest,
    *,
    upstream_model: str,
    efforts: Sequence[str] | None,
    effort: str | None = None,
    cache_key: str | None = None,
) -> MessagesCall:
    """Return the call that asks the upstream what `request` asks.

    Args:
        request: What the caller asks.
        upstream_model: The model's name upstream.
        efforts: The model's reasoning efforts; None if they aren't known.
        effort: What the model's name itself asks for, where the request does not.
        cache_key: The prompt cache key to send.

    Raises:
        InvalidRequest: The request asks for what can't be given or said.
    """
    box = toolbox(request.tools)
    body: Json = {"model": upstream_model, "instructions": ""}
    body["input"] = to_input(request.system, request.messages)
    body["include"] = [_SEALED, SEARCH_SOURCES] if box.searches else [_SEALED]
    body |= tool_fields(request.tool_choice, box)
    body |= {"store": False, "stream": True}
    reasoning = options.reasoning(request, efforts=efforts)
    if effort is not None:
        reasoning.setdefault("effort", effort)
    if reasoning:
        body["reasoning"] = reasoning
    if text := options.text(request):
        body["text"] = text
    if tier := options.service_tier(request):
        body["service_tier"] = tier
    if cache_key:
        body["prompt_cache_key"] = cache_key
    return MessagesCall(
        model=request.model,
        body=_encode(body),
        tool_names=box.names,
        shown=options.shown(request),
        stop_sequences=_stops(request),
        insists_on_search=body.get("tool_choice") == {"type": WEB_SEARCH},
    )


def _stops(request: MessagesRequest) -> tuple[str, ...]:
    stops = tuple(request.stop_sequences or ())
    for index, stop in enumerate(stops):
        if not stop.strip():
            raise wrong(
                f"stop_sequences[{index}]", "Each stop sequence must contain non-whitespace."
            )
    return stops


def _encode(body: Json) -> bytes:
    try:
        return msgspec.json.encode(body)
    except RecursionError:
        raise InvalidRequest(_TOO_DEEP) from None
