"""A Responses body that was sent to the chat address, as agents in some editors do.

It is recognised by `input` or `instructions` without `messages`, sent on with the few changes
that the Codex backend wants, and answered in chat's form. Items are not checked one by one: what
Responses gets tomorrow must pass, and the upstream says best what is wrong with it.
"""

from msgspec import UNSET, Struct, UnsetType

from app.dialects.chat.names import short_id, short_name
from app.dialects.chat.schema import ChatRequest, Json
from app.dialects.chat.violations import read
from app.errors import CallerError

ENCRYPTED_REASONING = "reasoning.encrypted_content"


class _Fields(Struct, frozen=True):
    """The fields that only Responses has."""

    input: str | list[Json]
    instructions: str | None = None
    include: list[str] | None = None
    text: Json | None = None
    client_metadata: Json | None = None
    previous_response_id: str | None = None


def is_responses_shaped(request: ChatRequest) -> bool:
    """Tell whether the request speaks Responses."""
    spoken = request.input is not UNSET or request.instructions is not UNSET
    return request.messages is None and spoken


def to_fields(request: ChatRequest) -> Json:
    """Return the fields of the upstream body that chat has no words for.

    Raises:
        InvalidRequest: One of them has the wrong type.
        CallerError: The request continues a response that isn't stored anywhere.
    """
    given = {name: getattr(request, name) for name in _Fields.__struct_fields__}
    fields = read(
        {name: value for name, value in given.items() if not isinstance(value, UnsetType)},
        _Fields,
        at="",
    )
    if fields.previous_response_id is not None:
        raise CallerError(
            "'previous_response_id' can't be honoured here: send the whole conversation in"
            " 'input'.",
            status=409,
            code="response_context_unavailable",
            param="previous_response_id",
        )
    body: Json = {
        "instructions": fields.instructions or "",
        "input": _items(fields.input),
        "include": [
            *(name for name in fields.include or () if name != ENCRYPTED_REASONING),
            ENCRYPTED_REASONING,
        ],
    }
    if fields.text is not None:
        body["text"] = fields.text
    if fields.client_metadata is not None:
        body["client_metadata"] = fields.client_metadata
    return body


def _items(given: str | list[Json]) -> list[Json]:
    if isinstance(given, str):
        content = [{"type": "input_text", "text": given}]
        return [{"type": "message", "role": "user", "content": content}]
    return [_item(item) for item in given]


def _item(item: Json) -> Json:
    """Return one input item as the upstream takes it.

    Ids of replayed items are dropped, as the upstream stores nothing that they could name.
    """
    keeps_id = item.get("type") == "item_reference"
    shaped = {key: value for key, value in item.items() if key != "id" or keeps_id}
    match shaped:
        case {"role": role}:
            shaped.setdefault("type", "message")
            shaped["role"] = "developer" if role == "system" else role
        case {"call_id": str() as call_id}:
            shaped["call_id"] = short_id(call_id)
            if isinstance(name := shaped.get("name"), str):
                shaped["name"] = short_name(name)
    return shaped
