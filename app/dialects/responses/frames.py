"""Responses over WebSocket, message by message: what a caller may send, and what only we say.

A message in is one JSON object; a message out is one event, as it stands in an SSE stream's `data`.
A request is the body that a POST would have, with a `type` beside it. What the caller says about
one turn that a POST would say in headers stands in its `client_metadata`.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Final

import msgspec
from msgspec import Raw, Struct

from app.dialects.responses.errors import error_body
from app.errors import GatewayError, InvalidRequest
from app.wire.sse import SseEvent, encode
from app.wire.violations import malformed, violation

TURN_HEADERS: Final = ("x-codex-turn-state", "x-codex-turn-metadata")
"""Members of `client_metadata` that are headers of a request over HTTP."""
TURN_STATE: Final = "x-codex-turn-state"

_MEMBERS: Final = msgspec.json.Decoder(dict[str, Raw])


class Message(Enum):
    """What a message asks for."""

    CREATE = "response.create"
    """A response."""
    PROCESSED = "response.processed"
    """Nothing: it says that an answer was taken in."""


class _Typed(Struct):
    type: str | None = None


_TYPED: Final = msgspec.json.Decoder(_Typed)


def message_of(text: bytes) -> Message:
    """Return what a message asks for; one without a type asks for a response.

    Raises:
        InvalidRequest: It is no JSON object, or of a type that is not known here.
    """
    try:
        named = _TYPED.decode(text).type
    except msgspec.ValidationError as error:
        raise violation(error) from None
    except msgspec.DecodeError as error:
        raise malformed(error, bytes_total=len(text)) from None
    except RecursionError:
        raise InvalidRequest("The message is nested too deeply.") from None
    if not named:
        return Message.CREATE
    try:
        return Message(named)
    except ValueError:
        raise InvalidRequest(
            f"Invalid value for 'type': '{named[:64]}' is not known here; send 'response.create'.",
            param="type",
        ) from None


class TurnRequest(Struct, frozen=True):
    """A request as a POST would have it: the body, and what would stand in headers."""

    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    generate: bool = True
    """False if the caller only wants its instructions and tools to be known: a warm-up."""


class _Turn(Struct):
    stream_id: object = None
    generate: bool | None = None
    previous_response_id: object = None
    client_metadata: Raw = Raw(b"null")


_TURN: Final = msgspec.json.Decoder(_Turn)


def turn_request(body: bytes) -> TurnRequest:
    """Return the request that a `response.create` makes.

    Raises:
        InvalidRequest: It asks for what a connection here does not do.
    """
    try:
        turn = _TURN.decode(body)
    except msgspec.ValidationError as error:
        raise violation(error) from None
    if turn.stream_id is not None:
        raise InvalidRequest(
            "'stream_id' is not available: one response at a time runs on a connection here. Leave"
            " it out, or open one connection for each stream.",
            param="stream_id",
        )
    previous = turn.previous_response_id
    if isinstance(previous, str) and previous.startswith("msg_"):
        raise InvalidRequest(
            "Invalid value for 'previous_response_id': it names a message; expected the id of a"
            " response, which begins with 'resp_'.",
            param="previous_response_id",
        )
    metadata = _object(turn.client_metadata)
    headers = tuple((name, value) for name in TURN_HEADERS if (value := _text(metadata.get(name))))
    if TURN_STATE in metadata:
        # It belongs to one account, so it travels where `ownership` can withhold it.
        del metadata[TURN_STATE]
        members = _MEMBERS.decode(body)
        members["client_metadata"] = Raw(msgspec.json.encode(metadata))
        body = msgspec.json.encode(members)
    return TurnRequest(body, headers, turn.generate is not False)


def error_frame(error: GatewayError, headers: Mapping[str, str]) -> bytes:
    """Return the message that says `error`, with the headers that an HTTP answer would have."""
    said: dict[str, object] = {"type": "error", "status": error.status}
    said |= msgspec.json.decode(error_body(error), type=dict[str, Raw])
    return msgspec.json.encode(said | {"headers": headers})


def warm_up(response_id: str, *, model: str, created_at: int) -> list[SseEvent]:
    """Return the events of a response that generates nothing."""
    response: dict[str, object] = {
        "id": response_id,
        "object": "response",
        "created_at": created_at,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "model": model,
        "output": [],
        "usage": None,
    }
    none = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    usage: dict[str, object] = {
        **none,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    }
    return [
        _event("response.created", 0, response),
        _event("response.completed", 1, {**response, "status": "completed", "usage": usage}),
    ]


def _event(name: str, number: int, response: Mapping[str, object]) -> SseEvent:
    said = {"type": name, "sequence_number": number, "response": response}
    data = msgspec.json.encode(said)
    return SseEvent(name, data, encode(name, data))


def _object(value: Raw) -> dict[str, Raw]:
    """Return the members of an object; none if it is none."""
    try:
        return _MEMBERS.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}


def _text(value: Raw | None) -> str | None:
    """Return a header's value; None if it can't be one."""
    try:
        text = msgspec.json.decode(value, type=str) if value is not None else ""
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return text if text.isascii() and text.isprintable() else None
