"""What a chat request asks for beside words and tools, said in Responses or refused.

What the Codex backend can't do and a caller would miss (several answers, log probabilities,
sound) is refused with the reason. What only tunes the answer (temperature, seed, limits) is
dropped: the answer is a good one without it. Neither `stop` nor `max_tokens` is emulated.
"""

from collections.abc import Sequence
from typing import Final, get_args

from msgspec import Struct

from app.dialects.chat.schema import ChatRequest, Effort, Json, Level, ResponseFormat
from app.dialects.chat.violations import (
    missing_field,
    unsupported_field,
    unsupported_value,
)
from app.errors import InvalidRequest

_EFFORTS: Final[tuple[str, ...]] = get_args(Effort)
_THINKING_EFFORT: Final[Level] = "medium"
_JSON_LINE: Final[Json] = {
    "type": "message",
    "role": "developer",
    "content": [{"type": "input_text", "text": "Answer with valid JSON."}],
}


class _Choice(Struct, frozen=True):
    """What is to be refused: whether it is asked for, where, and why not."""

    wanted: bool
    param: str
    reason: str


def refuse_unsupported(request: ChatRequest) -> None:
    """Refuse what `request` can't get from a Codex account.

    Raises:
        InvalidRequest: It asks for such a thing, or for two things that exclude each other.
    """
    if request.stream_options is not None and not request.stream:
        raise InvalidRequest(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            param="stream_options",
        )
    if request.top_logprobs and not request.logprobs:
        raise InvalidRequest(
            "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.",
            param="top_logprobs",
        )
    for choice in _unsupported(request):
        if choice.wanted:
            raise unsupported_field(choice.param, choice.reason)


def _unsupported(request: ChatRequest) -> tuple[_Choice, ...]:
    return (
        _Choice(
            (request.n or 1) > 1,
            "n",
            "Codex accounts give one answer a request: leave it out or send 1, and send several"
            " requests for several answers.",
        ),
        _Choice(
            request.logprobs is True,
            "logprobs",
            "Codex accounts report no log probabilities: leave it out or send false.",
        ),
        _Choice(
            "audio" in (request.modalities or ()),
            "modalities",
            "Codex accounts answer in text only: leave it out or send ['text'].",
        ),
        _Choice(
            request.audio is not None,
            "audio",
            "Codex accounts answer in text only: leave it out.",
        ),
    )


def reasoning(request: ChatRequest, *, model: str, efforts: Sequence[str] | None) -> Json:
    """Return the `reasoning` object: a summary always, so that callers can show the thinking.

    Args:
        request: The caller's request.
        model: The model's name, for the message.
        efforts: What the model's manifest supports; None if it isn't known, and then any passes.

    Raises:
        InvalidRequest: The effort is not one of the model's.
    """
    neighbour = request.reasoning if isinstance(request.reasoning, dict) else {}
    summary = neighbour.get("summary")
    fields: Json = {"summary": summary if isinstance(summary, str) else "auto"}
    effort, at = _effort(request, neighbour)
    if effort is None:
        effort = _thinking(request, efforts)
    else:
        _check_effort(effort, at, model=model, efforts=efforts)
    if effort is not None:
        # "ultra" is a client's word: on the wire it is the highest effort there is.
        fields["effort"] = "max" if effort == "ultra" else effort
    return fields


def _effort(request: ChatRequest, neighbour: Json) -> tuple[str | None, str]:
    if request.reasoning_effort is not None:
        return request.reasoning_effort, "reasoning_effort"
    effort = neighbour.get("effort")
    return (effort if isinstance(effort, str) else None), "reasoning.effort"


def _check_effort(effort: str, at: str, *, model: str, efforts: Sequence[str] | None) -> None:
    if effort not in _EFFORTS:
        raise unsupported_value(at, effort, _EFFORTS)
    if efforts is None or effort in efforts:
        return
    if not efforts:
        raise InvalidRequest(f"The model '{model}' does not support '{at}'.", param=at)
    raise unsupported_value(at, effort, tuple(efforts))


def _thinking(request: ChatRequest, efforts: Sequence[str] | None) -> str | None:
    """Return the effort that neighbouring APIs' switches for thinking stand for."""
    match request.thinking:
        case {"type": "enabled" | "adaptive"}:
            wanted = True
        case _:
            wanted = request.enable_thinking is True
    if wanted and (efforts is None or _THINKING_EFFORT in efforts):
        return _THINKING_EFFORT
    return None


def text(request: ChatRequest) -> Json:
    """Return the `text` object; empty if the caller asked for nothing special.

    Raises:
        InvalidRequest: A schema is promised and missing.
    """
    fields: Json = {}
    if request.verbosity is not None:
        fields["verbosity"] = request.verbosity
    form = _format(request.response_format)
    if form is not None:
        fields["format"] = form
    return fields


def _format(form: ResponseFormat | None) -> Json | None:
    if form is None or form.type == "text":
        return None
    if form.type == "json_object":
        return {"type": "json_object"}
    if form.json_schema is None:
        raise missing_field("response_format.json_schema")
    schema = form.json_schema
    fields: Json = {"type": "json_schema", "name": schema.name, "schema": schema.schema}
    if schema.description is not None:
        fields["description"] = schema.description
    if schema.strict is not None:
        fields["strict"] = schema.strict
    return fields


def with_json_word(items: list[Json]) -> list[Json]:
    """Return `items`, with a developer line before them if none speaks of JSON.

    The upstream refuses `json_object` unless a message has the word in it.
    """
    said = any(_says_json(item) for item in items)
    return items if said else [_JSON_LINE, *items]


def _says_json(item: Json) -> bool:
    content = item.get("content")
    if isinstance(content, str):
        return "json" in content.lower()
    parts = content if isinstance(content, list) else []
    texts = [part.get("text") for part in parts if isinstance(part, dict)]
    return any(isinstance(words, str) and "json" in words.lower() for words in texts)


def service_tier(request: ChatRequest) -> str | None:
    """Return the tier to ask for: only the fast one is known upstream, the rest is its default."""
    return "priority" if request.service_tier in {"fast", "priority"} else None
