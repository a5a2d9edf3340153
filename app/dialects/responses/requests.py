"""A Responses request as the Codex backend takes it, changed in as few bytes as possible.

The top level stays a mapping of names to raw JSON: what is not changed is copied as it came, in
value and order, and a request that needs no change is returned as the very same bytes. Known
fields are checked first, so that a wrong one costs no account; unknown ones pass.

A Codex client knows the backend, so its items and tools are left as they are; what other callers
send is repaired: see `app.dialects.responses.items`. `store: true` is accepted and sent as
false, because the backend stores nothing.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import UNSET, Raw, Struct

from app.dialects.responses import options
from app.dialects.responses.items import Encodable, message, repaired_parts, says_json
from app.dialects.responses.lite import is_lite, to_lite
from app.dialects.responses.schema import (
    ABSENT,
    NULL,
    Fields,
    Known,
    Request,
    check_tool_choice,
    check_tools,
    items_of,
)
from app.errors import CallerError, InvalidRequest
from app.wire.peek import Peek
from app.wire.violations import decoded, missing_field

_REQUEST: Final = msgspec.json.Decoder(Request)

DROPPED: Final = frozenset(
    {
        "background",
        "context_management",
        "conversation",
        "disable_response_storage",
        "frequency_penalty",
        "generate",
        "logit_bias",
        "logprobs",
        "max_completion_tokens",
        "max_output_tokens",
        "max_tokens",
        "metadata",
        "n",
        "presence_penalty",
        "previous_response_id",
        "prompt",
        "prompt_cache_options",
        "prompt_cache_retention",
        "reasoning_effort",
        "response_format",
        "safety_identifier",
        "seed",
        "serviceTier",
        "stop",
        "temperature",
        "top_logprobs",
        "top_p",
        "truncation",
        "type",
        "user",
        "verbosity",
    }
)
"""Fields that the backend refuses; some of them are said in another field instead."""


class Wanted(Struct, frozen=True, kw_only=True):
    """What the request is to become: the facts about its caller and its model."""

    upstream_model: str
    """The model's name upstream."""
    efforts: Sequence[str] | None
    """The model's reasoning efforts; None if they aren't known."""
    codex_client: bool
    """The caller is a Codex client: its items and tools stay as they are."""
    lite: bool | None
    """Send the Lite form; False and None send what the caller sent."""
    effort: str | None = None
    """The effort that the model's name asks for; one in the request wins."""
    cache_key: str | None = None
    """The prompt cache key to send instead of the caller's own."""


class Sent(Struct, frozen=True):
    """What goes upstream: the whole request, and the same with its newest items only."""

    body: bytes
    delta: bytes | None = None


def to_upstream(body: bytes, peek: Peek, wanted: Wanted) -> bytes:
    """Return `body` as the backend takes it; `body` itself if it is right already.

    `body` is the request as it came, decompressed; `peek` is what `app.wire.peek.peek` found
    in it.

    Raises:
        InvalidRequest: A known field has a wrong type, range or word, or asks for what can't be.
        CallerError: The request continues a response that isn't stored anywhere.
    """
    return _sent(body, peek, wanted, None).body


def to_upstream_with_delta(body: bytes, peek: Peek, wanted: Wanted, *, new: int | None) -> Sent:
    """Return also what is left of it if the upstream knows all but the last `new` items.

    None means that it knows none of them, so nothing is left out.

    Raises: as `to_upstream`.
    """
    return _sent(body, peek, wanted, new)


def _sent(body: bytes, peek: Peek, wanted: Wanted, new: int | None) -> Sent:
    request = _checked(body, peek)
    if request.input == ABSENT:
        raise missing_field("input")
    items = items_of(request.input)
    changes = _forced(peek, wanted.upstream_model)
    lite = wanted.lite
    sent, added = _items(items, new, wanted)
    if not wanted.codex_client:
        changes |= options.changed(peek.fields, request, efforts=wanted.efforts)
        if options.json_mode(request) and not says_json(items):
            sent.insert(0, message("developer", "Answer in JSON."))
    everything = [*sent, *added]
    becomes_lite = bool(lite) and not is_lite(everything)
    if becomes_lite:
        changes |= to_lite({**peek.fields, **changes}, everything, request.instructions)
    else:
        changes["input"] = request.input if _untouched(everything, items) else everything
        if request.instructions is None:
            changes["instructions"] = UNSET if is_lite(everything) else Raw(b'""')
    if wanted.cache_key is not None:
        changes["prompt_cache_key"] = Raw(msgspec.json.encode(wanted.cache_key))
    effort = wanted.effort
    if effort is not None and peek.effort is None and request.reasoning_effort is None:
        reasoning = {**peek.fields, **changes}.get("reasoning")
        changes["reasoning"] = options.named_effort(reasoning, effort, efforts=wanted.efforts)
    whole = _encoded(body, peek.fields, changes)
    # What is said in Lite form has its tools in the input, where a change of them would be missed.
    if new is None or becomes_lite:
        return Sent(whole)
    return Sent(whole, _encoded(body, peek.fields, changes | {"input": added}))


def _items(
    items: str | list[Known], new: int | None, wanted: Wanted
) -> tuple[list[Encodable], list[Encodable]]:
    """Return the items as they are sent: those of before, and the `new` ones."""
    if isinstance(items, str):
        return repaired_parts(items, [])
    cut = len(items) - (new or 0)
    past, latest = items[:cut], items[cut:]
    if not wanted.codex_client:
        return repaired_parts(past, latest, lite=bool(wanted.lite))
    return [item.raw for item in past], [item.raw for item in latest]


def _untouched(sent: list[Encodable], items: str | list[Known]) -> bool:
    return len(sent) == len(items) and all(
        isinstance(item, Known) and new is item.raw for new, item in zip(sent, items, strict=True)
    )


def _checked(body: bytes, peek: Peek) -> Request:
    """Return the request with its known fields checked, but for the items."""
    if peek.previous_response_id is not None:
        raise CallerError(
            "'previous_response_id' can't be honoured here: send the whole conversation in"
            " 'input'.",
            status=409,
            code="response_context_unavailable",
            param="previous_response_id",
        )
    if peek.background:
        raise InvalidRequest(
            "'background' is not available: nothing is stored here that an answer could be"
            " fetched from later. Leave it out and stream the answer.",
            param="background",
        )
    request = decoded(body, _REQUEST)
    if request.conversation != NULL:
        raise InvalidRequest(
            "'conversation' is not available: nothing is stored here. Send the whole"
            " conversation in 'input'.",
            param="conversation",
        )
    if request.prompt != NULL:
        raise InvalidRequest(
            "'prompt' is not available: no templates are stored here. Send the text itself in"
            " 'instructions' and 'input'.",
            param="prompt",
        )
    check_tools(request.tools or [])
    if request.tool_choice != NULL:
        check_tool_choice(request.tool_choice)
    return request


def _forced(peek: Peek, upstream_model: str) -> dict[str, object]:
    """Return what is the same for every request."""
    changes: dict[str, object] = dict.fromkeys(DROPPED, UNSET)
    if peek.model != upstream_model:
        changes["model"] = Raw(msgspec.json.encode(upstream_model))
    changes["stream"] = Raw(b"true")
    changes["store"] = Raw(b"false")
    changes["stream_options"] = options.stream_options(peek.fields)
    return changes


def _encoded(body: bytes, fields: Fields, changes: dict[str, object]) -> bytes:
    real = {name: new for name, new in changes.items() if fields.get(name, UNSET) != new}
    if not real:
        return body
    merged = {**fields, **real}
    return msgspec.json.encode({name: v for name, v in merged.items() if v is not UNSET})
