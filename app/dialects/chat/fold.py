"""The whole answer of a call that did not ask to stream: the fold of its deltas. Pure.

Pieces of text stay the raw JSON strings they came as and are joined inside one pair of quotes, so
nothing is decoded and nothing can read differently from the streamed answer.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Raw, Struct

from app.dialects.chat.deltas import Deltas
from app.dialects.chat.events import ABSENT, event_of
from app.dialects.chat.requests import ChatCall
from app.dialects.chat.schema import Json
from app.dialects.chat.usage import usage_of
from app.errors import GatewayError, StreamIncomplete


class _Function(Struct):
    """A piece of a function's or a custom tool's call."""

    name: str | None = None
    arguments: Raw = ABSENT
    input: Raw = ABSENT


class _ToolCall(Struct):
    """A piece of a numbered call; only the first one says what it is."""

    index: int
    id: str | None = None
    type: str | None = None
    function: _Function | None = None
    custom: _Function | None = None


class _Delta(Struct):
    """One delta, read back."""

    content: Raw = ABSENT
    refusal: Raw = ABSENT
    reasoning_content: Raw = ABSENT
    tool_calls: Sequence[_ToolCall] = ()
    function_call: _Function | None = None
    annotations: Sequence[Raw] = ()
    images: Sequence[Raw] = ()


class _Folded:
    """The pieces of one string."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def __bool__(self) -> bool:
        return bool(self._pieces)

    def add(self, raw: Raw) -> None:
        """Append what is between the quotes of `raw`."""
        if piece := bytes(raw)[1:-1]:
            self._pieces.append(piece)

    def whole(self) -> Raw:
        """Return the string, encoded."""
        return Raw(b'"%b"' % b"".join(self._pieces))


class _FoldedCall:
    """One call as its pieces have it so far."""

    def __init__(self, kind: str) -> None:
        self._field = "input" if kind == "custom" else "arguments"
        self._name: str | None = None
        self._text = _Folded()

    def add(self, piece: _Function) -> None:
        """Take over the next piece."""
        self._name = self._name or piece.name
        self._text.add(piece.arguments)
        self._text.add(piece.input)

    def whole(self) -> Json:
        """Return the name and what it was called with."""
        return {"name": self._name, self._field: self._text.whole()}


_DELTA: Final = msgspec.json.Decoder(_Delta)
_INCOMPLETE: Final = "The upstream's stream ended before the answer did."


class ChatFold:
    """Folds the events of one reply into one chat completion.

    Feed it every event, then take `to_completion`.
    """

    def __init__(self, *, call: ChatCall, id: str, created_at: int) -> None:
        self._deltas = Deltas(call)
        self._envelope: Json = {
            "id": id,
            "object": "chat.completion",
            "created": created_at,
            "model": call.model,
        }
        self._content, self._refusal, self._reasoning = _Folded(), _Folded(), _Folded()
        self._calls: list[tuple[Json, _FoldedCall]] = []
        self._function_call: _FoldedCall | None = None
        self._annotations: list[Raw] = []
        self._images: list[Raw] = []

    @property
    def finished(self) -> bool:
        """Tell whether the upstream ended its reply well."""
        return self._deltas.finish_reason is not None

    @property
    def failure(self) -> GatewayError | None:
        """What the upstream said when it broke its reply off."""
        return self._deltas.failure

    def feed(self, data: bytes) -> None:
        """Take over what one event's JSON says. Never raises."""
        for delta in self._deltas.feed(event_of(data), data):
            self._add(_DELTA.decode(delta))

    def to_completion(self) -> bytes:
        """Return the answer as JSON.

        Raises:
            GatewayError: The upstream broke its reply off, or just stopped.
        """
        if self.failure:
            raise self.failure
        if not self.finished:
            raise StreamIncomplete(_INCOMPLETE)
        choice: Json = {
            "index": 0,
            "message": self._message(),
            "logprobs": None,
            "finish_reason": self._deltas.finish_reason,
        }
        completion = self._envelope | {
            "choices": [choice],
            "usage": Raw(usage_of(self._deltas.usage)),
        }
        if self._deltas.service_tier is not None:
            completion["service_tier"] = self._deltas.service_tier
        return msgspec.json.encode(completion)

    def _add(self, delta: _Delta) -> None:
        self._content.add(delta.content)
        self._refusal.add(delta.refusal)
        self._reasoning.add(delta.reasoning_content)
        self._annotations += delta.annotations
        self._images += delta.images
        for piece in delta.tool_calls:
            self._add_call(piece)
        if delta.function_call:
            self._function_call = self._function_call or _FoldedCall("function")
            self._function_call.add(delta.function_call)

    def _add_call(self, piece: _ToolCall) -> None:
        if piece.id is not None:
            kind = piece.type or "function"
            self._calls.append(({"id": piece.id, "type": kind}, _FoldedCall(kind)))
        self._calls[piece.index][1].add(piece.function or piece.custom or _Function())

    def _message(self) -> Json:
        """Return the message; `content` is null where something else was said instead of it."""
        other = self._calls or self._function_call or self._refusal
        message: Json = {
            "role": "assistant",
            "content": self._content.whole() if self._content or not other else None,
            "refusal": self._refusal.whole() if self._refusal else None,
            "annotations": self._annotations,
        }
        if self._reasoning:
            message["reasoning_content"] = self._reasoning.whole()
        if self._calls:
            message["tool_calls"] = [
                head | {str(head["type"]): call.whole()} for head, call in self._calls
            ]
        if self._function_call:
            message["function_call"] = self._function_call.whole()
        if self._images:
            message["images"] = self._images
        return message
