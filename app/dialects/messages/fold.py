"""The whole answer of a call that did not ask to stream: the fold of its frames. Pure.

Pieces of text stay the raw JSON strings they came as and are joined inside one pair of quotes, so
nothing is decoded and nothing can read differently from the streamed answer.
"""

from typing import Final

import msgspec
from msgspec import Raw, Struct

from app.dialects.chat.events import ABSENT, event_of
from app.dialects.messages.answer import Answer
from app.dialects.messages.requests import MessagesCall
from app.dialects.messages.schema import Json
from app.errors import GatewayError, StreamIncomplete

INCOMPLETE: Final = "The upstream's stream ended before the answer did."
_DATA: Final = b"\ndata: "


class _Delta(Struct):
    text: Raw = ABSENT
    thinking: Raw = ABSENT
    signature: Raw = ABSENT
    partial_json: Raw = ABSENT
    citation: Raw = ABSENT


class _Frame(Struct):
    """One frame, read back."""

    type: str
    index: int = -1
    message: Raw = ABSENT
    content_block: Raw = ABSENT
    delta: Raw = ABSENT
    usage: Raw = ABSENT


class _Folded:
    """One block as its pieces have it so far."""

    def __init__(self, block: Raw) -> None:
        self._fields: Json = dict(msgspec.json.decode(block, type=dict[str, Raw]))
        self._strings: dict[str, list[bytes]] = {}
        self._citations: list[Raw] = []

    def add(self, delta: _Delta) -> None:
        """Take over the next piece."""
        for name in ("text", "thinking", "signature", "partial_json"):
            if raw := bytes(getattr(delta, name)):
                self._strings.setdefault(name, []).append(raw[1:-1])
        if bytes(delta.citation):
            self._citations.append(delta.citation)

    def whole(self) -> Json:
        """Return the block."""
        fields = dict(self._fields)
        for name, pieces in self._strings.items():
            raw = Raw(b'"%b"' % b"".join(pieces))
            if name == "partial_json":
                fields["input"] = _input(raw)
            else:
                fields[name] = raw
        if self._citations:
            fields["citations"] = self._citations
        return fields


_FRAME: Final = msgspec.json.Decoder(_Frame)
_DELTA: Final = msgspec.json.Decoder(_Delta)


class MessagesFold:
    """Folds the events of one reply into one message.

    Feed it every event, then take `to_message`.
    """

    def __init__(self, *, call: MessagesCall, id: str) -> None:
        self._answer = Answer(call, id=id)
        self._message: Json = {}
        self._blocks: dict[int, _Folded] = {}

    def feed(self, data: bytes) -> None:
        """Take over what one event's JSON says. Never raises."""
        for said in self._answer.feed(event_of(data), data):
            self._add(_FRAME.decode(said[said.index(_DATA) + len(_DATA) :]))

    def to_message(self) -> bytes:
        """Return the answer as JSON.

        Raises:
            GatewayError: The upstream broke its reply off, or just stopped.
        """
        if self._answer.failure:
            raise self._answer.failure
        if self._answer.stop_reason is None:
            raise StreamIncomplete(INCOMPLETE)
        content = [self._blocks[number].whole() for number in sorted(self._blocks)]
        return msgspec.json.encode(self._message | {"content": content})

    @property
    def failure(self) -> GatewayError | None:
        """What the upstream said when it broke its reply off."""
        return self._answer.failure

    def _add(self, said: _Frame) -> None:
        match said.type:
            case "message_start":
                self._message = dict(msgspec.json.decode(said.message, type=dict[str, Raw]))
            case "content_block_start":
                self._blocks[said.index] = _Folded(said.content_block)
            case "content_block_delta":
                self._blocks[said.index].add(_DELTA.decode(said.delta))
            case "message_delta":
                self._message |= msgspec.json.decode(said.delta, type=dict[str, Raw])
                self._message["usage"] = said.usage


def _input(raw: Raw) -> object:
    """Return a call's arguments as an object; what is none is told all the same."""
    text = msgspec.json.decode(raw, type=str)
    try:
        return Raw(msgspec.json.encode(msgspec.json.decode(text, type=dict[str, Raw])))
    except (msgspec.DecodeError, RecursionError):
        return {"arguments": text}
