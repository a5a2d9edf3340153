"""What a public Responses request asks for beside its input, said as the Codex backend hears it.

Each function looks at one field and returns what must stand there instead, or the raw field
itself. Codex clients say all of this right already, so nothing here is for them.
"""

from collections.abc import Sequence
from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, Struct

from app.dialects.chat.parameters import clean
from app.dialects.responses.schema import (
    EFFORTS,
    NULL,
    Fields,
    Head,
    Request,
    TextFormat,
    members_of,
)
from app.errors import InvalidRequest
from app.wire.violations import missing_field, read, unsupported_value

ENCRYPTED_REASONING: Final = "reasoning.encrypted_content"

_MEMBERS: Final = msgspec.json.Decoder(dict[str, Raw])
# The backend refuses the default tiers by name and has no cheaper ones.
_TIERS_DROPPED: Final = frozenset({"auto", "default", "flex", "scale"})


class _SchemaFormat(Struct):
    name: Annotated[str, Meta(min_length=1, max_length=64)]
    schema: dict[str, Raw]
    strict: bool | None = None
    description: str | None = None


class _ResponseFormat(Struct):
    """Chat's way to ask for the form of the answer."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: _SchemaFormat | None = None


class _Parameters(Struct):
    parameters: dict[str, object] | None = None


def changed(
    fields: Fields, request: Request, *, efforts: Sequence[str] | None
) -> dict[str, object]:
    """Return what must stand in place of the options in `fields`; UNSET for nothing.

    Args:
        fields: The request's fields as raw JSON.
        request: The same, checked.
        efforts: The model's reasoning efforts; None if they aren't known.

    Raises:
        InvalidRequest: An option asks for what the model or the backend doesn't have.
    """
    return {
        "include": _include(fields, request),
        "reasoning": _reasoning(fields, request, efforts),
        "service_tier": _service_tier(fields, request),
        "text": _text(fields, request),
        "tools": _tools(fields, request),
    }


def named_effort(
    reasoning: object, effort: str, *, efforts: Sequence[str] | None
) -> dict[str, object]:
    """Return `reasoning`, raw or not, with the effort that the model's name asks for.

    Raises:
        InvalidRequest: The model doesn't have it.
    """
    _check_effort(effort, "model", efforts)
    return members_of(reasoning) | {"effort": _wire(effort)}


def json_mode(request: Request) -> bool:
    """Tell whether `request` asks for JSON of no certain schema."""
    own = request.text.format if request.text else None
    if own is not None:
        return own.type == "json_object"
    wished = _wished(request)
    return wished is not None and wished.type == "json_object"


def stream_options(fields: Fields) -> object:
    """Return the only stream option that the backend knows; UNSET if it isn't asked for."""
    given = fields.get("stream_options", NULL)
    if given == NULL:
        return UNSET
    members = _MEMBERS.decode(given)
    kept = {k: v for k, v in members.items() if k == "reasoning_summary_delivery"}
    if len(kept) == len(members):
        return given
    return kept or UNSET


def _include(fields: Fields, request: Request) -> object:
    wanted = request.include or []
    if ENCRYPTED_REASONING in wanted:
        return fields["include"]
    return [*wanted, ENCRYPTED_REASONING]


def _service_tier(fields: Fields, request: Request) -> object:
    tier = request.service_tier
    if tier is None or tier in _TIERS_DROPPED:
        return UNSET
    return Raw(b'"priority"') if tier == "fast" else fields["service_tier"]


def _reasoning(fields: Fields, request: Request, efforts: Sequence[str] | None) -> object:
    own = request.reasoning.effort if request.reasoning else None
    at = "reasoning.effort" if own else "reasoning_effort"
    effort = own or request.reasoning_effort
    given = fields.get("reasoning", UNSET)
    if effort is None:
        return given
    _check_effort(effort, at, efforts)
    wire = _wire(effort)
    return given if wire == own else members_of(given) | {"effort": wire}


def _wire(effort: str) -> str:
    """Return the word for `effort` on the wire: "ultra" is a client's, for the highest one."""
    return "max" if effort == "ultra" else effort


def _check_effort(effort: str, at: str, efforts: Sequence[str] | None) -> None:
    if efforts is None or effort in efforts:
        return
    if not efforts:
        raise InvalidRequest(f"This model does not support '{at}'.", param=at)
    supported = tuple(word for word in EFFORTS if word in efforts)
    raise unsupported_value(at, effort, supported)


def _text(fields: Fields, request: Request) -> object:
    given = fields.get("text", UNSET)
    own = request.text
    if own and own.format:
        _check_format(own.format)
    added: dict[str, object] = {}
    if request.verbosity and not (own and own.verbosity):
        added["verbosity"] = request.verbosity
    if not (own and own.format) and (wished := _wished(request)):
        added["format"] = _format(wished, fields["response_format"])
    return members_of(given) | added if added else given


def _check_format(form: TextFormat) -> None:
    if form.type == "json_schema":
        for name in ("name", "schema"):
            if getattr(form, name) is UNSET:
                raise missing_field(f"text.format.{name}")


def _wished(request: Request) -> _ResponseFormat | None:
    given = request.response_format
    if given == NULL:
        return None
    return read(given, _ResponseFormat, at="response_format")


def _format(wished: _ResponseFormat, raw: Raw) -> dict[str, object]:
    if wished.type != "json_schema":
        return {"type": wished.type}
    if wished.json_schema is None:
        raise missing_field("response_format.json_schema")
    return {"type": "json_schema", **_MEMBERS.decode(_MEMBERS.decode(raw)["json_schema"])}


def _tools(fields: Fields, request: Request) -> object:
    given = fields.get("tools", UNSET)
    if not request.tools:
        return given
    tools = [_tool(raw, at=f"tools[{number}]") for number, raw in enumerate(request.tools)]
    same = all(new is old for new, old in zip(tools, request.tools, strict=True))
    return given if same else tools


def _tool(raw: Raw, *, at: str) -> object:
    kind = read(raw, Head, at=at).type or ""
    if kind.startswith("web_search_preview"):
        return _MEMBERS.decode(raw) | {"type": "web_search"}
    if kind != "function":
        return raw
    parameters = read(raw, _Parameters, at=at).parameters
    cleaned = clean(parameters)
    return raw if cleaned == parameters else _MEMBERS.decode(raw) | {"parameters": cleaned}
