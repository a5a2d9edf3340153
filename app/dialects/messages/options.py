"""What a Messages request asks for beside words and tools, said in Responses. Pure.

Anthropic's callers ask for effort by budgets, words or not at all, for models that they do not
know to be others. So an effort that the model hasn't is no error here: it is the nearest one below,
or the lowest. What only tunes the answer goes into `tuning`, for upstreams that heed it.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from app.dialects.messages.schema import Format, Json, MessagesRequest, Shown

_LADDER: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_BUDGETS: Final = ((1_024, "low"), (8_192, "medium"), (24_576, "high"))
"""Up to so many tokens of thinking mean this effort; more of them the one above."""
_ADAPTIVE_EFFORT: Final = "high"
_FORMAT_NAME: Final = "answer"


def shown(request: MessagesRequest) -> Shown:
    """Return how much of the model's thinking the caller wants to get."""
    if request.thinking is None or request.thinking.type == "disabled":
        return "nothing"
    return "seals" if request.thinking.display == "omitted" else "all"


def reasoning(request: MessagesRequest, *, efforts: Sequence[str] | None) -> Json:
    """Return the `reasoning` object; empty if nothing is asked for.

    `efforts` are the model's own, None if they aren't known.
    """
    fields: Json = {}
    if shown(request) == "all":
        fields["summary"] = "auto"
    effort = _effort(request)
    if effort is not None and (fitting := fitting_effort(effort, efforts)):
        fields["effort"] = fitting
    return fields


def fitting_effort(effort: str, efforts: Sequence[str] | None) -> str | None:
    """Return the model's effort that comes nearest from below, its lowest one, or None."""
    if efforts is None:
        return effort
    known = [one for one in _LADDER if one in efforts]
    below = [one for one in known if _LADDER.index(one) <= _LADDER.index(effort)]
    fitting = below or known[:1]
    return fitting[-1] if fitting else None


def text(request: MessagesRequest) -> Json:
    """Return the `text` object; empty if the caller asked for no special form."""
    config = request.output_config
    form = (config and config.format) or request.output_format
    return {"format": _format(form)} if form else {}


def service_tier(request: MessagesRequest) -> str | None:
    """Return the tier to ask for."""
    return "priority" if request.speed == "fast" else None


def tuning(request: MessagesRequest) -> bytes:
    """Return what only some upstreams heed, as an encoded object; empty if there is nothing.

    Stop sequences are not among it: an upstream that ends at one does not say at which, and the
    caller is to be told. So the answer is cut here (`texts`), whoever gives it.
    """
    wanted = {
        "max_output_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
    }
    given = {name: value for name, value in wanted.items() if value is not None}
    return msgspec.json.encode(given) if given else b""


def _effort(request: MessagesRequest) -> str | None:
    config, thinking = request.output_config, request.thinking
    if thinking is not None and thinking.type == "disabled":
        return "none"
    if config is not None and config.effort is not None:
        return config.effort
    if thinking is None:
        return None
    if thinking.type == "adaptive" or thinking.budget_tokens is None:
        return _ADAPTIVE_EFFORT
    for tokens_max, effort in _BUDGETS:
        if thinking.budget_tokens <= tokens_max:
            return effort
    return "xhigh"


def _format(form: Format) -> Json:
    strict = _is_strict(form.schema)
    fields: Json = {"type": "json_schema", "name": _FORMAT_NAME, "schema": form.schema}
    return fields | {"strict": strict}


def _is_strict(schema: Json) -> bool:
    """Tell whether a schema is as closed as Responses wants a strict one to be.

    Anthropic's callers may leave properties out of `required`; such a schema only guides.
    """
    work: list[object] = [schema]
    while work:
        match work.pop():
            case {"type": "object", **rest}:
                names = rest.get("properties")
                required = rest.get("required")
                named = set(names) if isinstance(names, dict) else set()
                if rest.get("additionalProperties") is not False:
                    return False
                if not isinstance(required, list) or named != set(map(str, required)):
                    return False
                work += rest.values()
            case dict() as other:
                work += other.values()
            case list() as several:
                work += several
    return True
