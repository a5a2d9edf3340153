"""The output items of a reply that is being retold: opened, said piece by piece, and closed. Pure.

Texts are kept as the insides of the JSON strings in which they came: put together they are the
inside of the whole text, and nothing is decoded or encoded.
"""

from typing import Final

import msgspec
from msgspec import Struct

from app.errors import UpstreamProtocolError

KEPT_BYTES_MAX: Final = 16 << 20
"""All texts of one reply; its last event repeats them."""

_QUOTE: Final = b'"'


class Pen:
    """Numbers the events of one reply and writes them, and bounds what is kept of them."""

    __slots__ = ("_bytes_left", "_number")

    def __init__(self) -> None:
        self._number = 0
        self._bytes_left = KEPT_BYTES_MAX

    def number(self) -> int:
        """Return the next event's number."""
        number = self._number
        self._number = number + 1
        return number

    def write(self, name: bytes, fields: bytes) -> bytes:
        """Return an event of this name."""
        form = b'event: %b\ndata: {"type":"%b","sequence_number":%d,%b}\n\n'
        return form % (name, name, self.number(), fields)

    def keep(self, size: int) -> None:
        """Note that so much more is kept.

        Raises:
            UpstreamProtocolError: It is too much for one reply.
        """
        self._bytes_left -= size
        if self._bytes_left < 0:
            raise UpstreamProtocolError(f"The answer is over {KEPT_BYTES_MAX} bytes.")


class Text:
    """A text that comes in pieces."""

    __slots__ = ("_head", "_middle", "_name", "_pen", "_pieces", "_place")

    def __init__(self, pen: Pen, name: bytes, place: bytes) -> None:
        """Take the name of its events, but for the `.delta`, and the fields that place them."""
        self._pen = pen
        self._name = name
        self._place = place
        self._head = b'event: %b.delta\ndata: {"type":"%b.delta","sequence_number":' % (name, name)
        self._middle = b',%b,"delta":' % place
        self._pieces: list[bytes] = []

    def delta(self, raw: bytes) -> bytes:
        """Say one more piece, a JSON string."""
        self.keep(raw)
        return b"%b%d%b%b}\n\n" % (self._head, self._pen.number(), self._middle, raw)

    def keep(self, raw: bytes) -> None:
        """Take one more piece without saying it."""
        self._pen.keep(len(raw))
        self._pieces.append(raw[1:-1])

    def whole(self) -> bytes:
        """Return all of it, a JSON string."""
        return _QUOTE + b"".join(self._pieces) + _QUOTE

    def done(self, field: bytes, whole: bytes) -> bytes:
        """Return the event that repeats it, under the name of this field."""
        return self._pen.write(self._name + b".done", b'%b,"%b":%b' % (self._place, field, whole))


class Message:
    """An answer in words, or a refusal: one item, a part for each."""

    __slots__ = ("_done", "_index", "_item_id", "_kind", "_pen", "_text", "index")

    def __init__(self, pen: Pen, index: int, name: str) -> None:
        self._pen = pen
        self.index = index
        """Its place in the output."""
        self._item_id = f"msg_{name}_{index}".encode()
        self._done: list[bytes] = []
        self._kind = b""
        self._text: Text | None = None

    def opened(self) -> bytes:
        """Return the event that opens it."""
        return _added(self._pen, self.index, self._item(b"in_progress", b""))

    def saying(self, kind: bytes) -> bool:
        """Tell whether a piece of this kind goes on with the part that is open."""
        return self._kind is kind and self._text is not None

    def say(self, kind: bytes, raw: bytes) -> bytes:
        """Say a piece of its text (`output_text`) or of its refusal (`refusal`)."""
        text = self._text
        if text is None or kind is not self._kind:
            return self._begin(kind) + self.say(kind, raw)
        return text.delta(raw)

    def closed(self, status: bytes) -> tuple[bytes, bytes]:
        """Return the events that end it, and the whole item."""
        events = self._end()
        item = self._item(status, b",".join(self._done))
        return events + _done(self._pen, self.index, item), item

    def _begin(self, kind: bytes) -> bytes:
        ended = self._end()
        place = self._place()
        self._kind = kind
        spoken = b"response.output_text" if kind == TEXT else b"response.refusal"
        extra = b',"logprobs":[]' if kind == TEXT else b""
        self._text = Text(self._pen, spoken, place + extra)
        part = b'%b,"part":%b' % (place, _part(kind, b'""'))
        return ended + self._pen.write(b"response.content_part.added", part)

    def _end(self) -> bytes:
        text = self._text
        if text is None:
            return b""
        self._text = None
        kind, whole, place = self._kind, text.whole(), self._place()
        part = _part(kind, whole)
        said = text.done(b"text" if kind == TEXT else kind, whole)
        self._done.append(part)
        return said + self._pen.write(
            b"response.content_part.done", b'%b,"part":%b' % (place, part)
        )

    def _place(self) -> bytes:
        place = (self._item_id, self.index, len(self._done))
        return b'"item_id":"%b","output_index":%d,"content_index":%d' % place

    def _item(self, status: bytes, content: bytes) -> bytes:
        form = b'{"id":"%b","type":"message","status":"%b","role":"assistant","content":[%b]}'
        return form % (self._item_id, status, content)


TEXT: Final = b"output_text"
REFUSAL: Final = b"refusal"


class Thought:
    """What the model thinks, told as a summary, which every client can show."""

    __slots__ = ("_item_id", "_pen", "_place", "_text", "index")

    def __init__(self, pen: Pen, index: int, name: str) -> None:
        self._pen = pen
        self.index = index
        self._item_id = f"rs_{name}_{index}".encode()
        self._place = b'"item_id":"%b","output_index":%d,"summary_index":0' % (self._item_id, index)
        self._text = Text(pen, b"response.reasoning_summary_text", self._place)

    def opened(self) -> bytes:
        """Return the events that open it."""
        opened = _added(self._pen, self.index, self._item(b""))
        part = b'%b,"part":{"type":"summary_text","text":""}' % self._place
        return opened + self._pen.write(b"response.reasoning_summary_part.added", part)

    def say(self, raw: bytes) -> bytes:
        """Say a piece of it."""
        return self._text.delta(raw)

    def closed(self, status: bytes) -> tuple[bytes, bytes]:
        """Return the events that end it, and the whole item."""
        del status
        whole = self._text.whole()
        part = b'{"type":"summary_text","text":%b}' % whole
        events = self._text.done(b"text", whole)
        ending = b'%b,"part":%b' % (self._place, part)
        events += self._pen.write(b"response.reasoning_summary_part.done", ending)
        item = self._item(part)
        return events + _done(self._pen, self.index, item), item

    def _item(self, summary: bytes) -> bytes:
        return b'{"id":"%b","type":"reasoning","summary":[%b]}' % (self._item_id, summary)


class Called:
    """A tool that the model calls: a function with arguments, or one with free-form input."""

    __slots__ = ("_head", "_item_id", "_pen", "_said", "_tail", "_text", "_wrapped", "index")

    def __init__(self, pen: Pen, index: int, reply: str, call: "Call") -> None:
        self._pen = pen
        self.index = index
        self._wrapped = call.wrapped
        kind, prefix, spoken, self._said = _CUSTOM if call.custom or call.wrapped else _FUNCTION
        self._item_id = f"{prefix}_{reply}_{index}".encode()
        self._head = b'{"id":"%b","type":"%b"' % (self._item_id, kind)
        told = (msgspec.json.encode(call.id), msgspec.json.encode(call.name), self._said)
        self._tail = b',"call_id":%b,"name":%b,"%b":' % told
        place = b'"item_id":"%b","output_index":%d' % (self._item_id, index)
        self._text = Text(pen, spoken, place)

    def opened(self) -> bytes:
        """Return the event that opens it."""
        return _added(self._pen, self.index, self._item(b"in_progress", b'""'))

    def say(self, raw: bytes) -> bytes:
        """Say a piece of its arguments; input that is wrapped in them is said when it is whole."""
        if self._wrapped:
            self._text.keep(raw)
            return b""
        return self._text.delta(raw)

    def closed(self, status: bytes) -> tuple[bytes, bytes]:
        """Return the events that end it, and the whole item."""
        whole, events = self._text.whole(), b""
        if self._wrapped:
            whole = _unwrapped(whole)
            events = self._text.delta(whole)
        elif self._said == b"arguments" and whole == b'""':
            whole = b'"{}"'
        events += self._text.done(self._said, whole)
        item = self._item(status, whole)
        return events + _done(self._pen, self.index, item), item

    def _item(self, status: bytes, said: bytes) -> bytes:
        return b'%b,"status":"%b"%b%b}' % (self._head, status, self._tail, said)


class Call(Struct, frozen=True):
    """What is known of a call before it says anything."""

    id: str
    name: str
    custom: bool = False
    """Its input is free-form."""
    wrapped: bool = False
    """Its input is free-form, and comes as the one argument of a function."""


_FUNCTION: Final = (b"function_call", "fc", b"response.function_call_arguments", b"arguments")
_CUSTOM: Final = (b"custom_tool_call", "ctc", b"response.custom_tool_call_input", b"input")


def _added(pen: Pen, index: int, item: bytes) -> bytes:
    return pen.write(b"response.output_item.added", b'"output_index":%d,"item":%b' % (index, item))


def _done(pen: Pen, index: int, item: bytes) -> bytes:
    return pen.write(b"response.output_item.done", b'"output_index":%d,"item":%b' % (index, item))


def _part(kind: bytes, text: bytes) -> bytes:
    if kind == TEXT:
        return b'{"type":"output_text","text":%b,"annotations":[],"logprobs":[]}' % text
    return b'{"type":"refusal","refusal":%b}' % text


class _Wrapped(Struct):
    input: str


def _unwrapped(arguments: bytes) -> bytes:
    """Return the free-form input in a function's arguments, both JSON strings.

    A model that did not keep to the function's form has said what it wanted to in its own way.
    """
    try:
        told = msgspec.json.decode(msgspec.json.decode(arguments, type=str), type=_Wrapped)
    except (ValueError, RecursionError):
        return arguments
    return msgspec.json.encode(told.input)
