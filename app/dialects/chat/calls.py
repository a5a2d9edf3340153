"""The tool calls of one reply: announced once, numbered from 0 in the order they appear.

A call goes by its item's index, its item's id and its call id. Its arguments are routed by the
index, then by the id; they come as deltas, or whole in a `.done` event, and are said once. A call
that is announced nowhere is said whole when its item is done. Calls are said one after another,
however the upstream mixes them (`app.dialects.chat.turns`).
"""

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec
from msgspec import Struct

from app.dialects.chat.events import DoneEvent, Event, Item, arguments_of, read, string_of
from app.dialects.chat.turns import Turns

_EMPTY: Final = b'""'
_TYPES: Final[Mapping[str, tuple[bytes, bytes]]] = {
    "function_call": (b"function", b"arguments"),
    "custom_tool_call": (b"custom", b"input"),
}


class _Call(Struct):
    """A call that was announced: what stands around a piece of its arguments."""

    number: int
    head: bytes
    tail: bytes
    has_arguments: bool = False


class Calls:
    """The calls so far."""

    def __init__(self, names: Mapping[str, str], *, legacy: bool) -> None:
        self._names = names
        self._legacy = legacy
        self._by_index: dict[int, _Call] = {}
        self._by_item_id: dict[str, _Call] = {}
        self._by_call_id: dict[str, _Call] = {}
        self._turns = Turns()

    @property
    def finish_reason(self) -> str:
        """Why an answer with these calls is over."""
        if not self._by_call_id:
            return "stop"
        return "function_call" if self._legacy else "tool_calls"

    def added(self, event: Event, item: Item) -> Iterator[bytes]:
        """Announce a call; without an id or a name it has to wait until it is done."""
        if item.call_id and item.name and not self._known(event, item):
            yield from self._announce(event, item, item.call_id, _EMPTY)

    def delta(self, event: Event) -> Iterator[bytes]:
        """Say one more piece of a call's arguments."""
        call = self._find(event)
        if call and (piece := string_of(event.delta)):
            yield from self._more(call, piece)

    def arguments_done(self, event: Event, data: bytes) -> Iterator[bytes]:
        """Say a call's whole arguments, unless its deltas did."""
        call, done = self._find(event), read(data, DoneEvent) or DoneEvent()
        if call:
            if not call.has_arguments:
                yield from self._more(call, arguments_of(done.arguments) or string_of(done.input))
            yield from self._turns.done(call.number)

    def done(self, event: Event, item: Item) -> Iterator[bytes]:
        """Say what of a whole call was not said yet."""
        arguments = arguments_of(item.arguments) or string_of(item.input)
        call = self._known(event, item)
        if call is None and item.call_id and item.name:
            yield from self._announce(event, item, item.call_id, arguments or _EMPTY)
            call = self._by_call_id[item.call_id]
        elif call and not call.has_arguments:
            yield from self._more(call, arguments)
        if call:
            yield from self._turns.done(call.number)

    def rest(self) -> Iterator[bytes]:
        """Say what calls that were never done still wait to say: the reply is over."""
        yield from self._turns.rest()

    def _known(self, event: Event, item: Item) -> _Call | None:
        """Return the call if it was announced, and let it go by the names it has now."""
        call = self._by_call_id.get(item.call_id) if item.call_id else self._find(event)
        if call:
            self._name(call, event, item)
        return call

    def _find(self, event: Event) -> _Call | None:
        return self._by_index.get(event.output_index) or self._by_item_id.get(event.item_id)

    def _announce(
        self, event: Event, item: Item, call_id: str, arguments: bytes
    ) -> Iterator[bytes]:
        kind, field = _TYPES[item.type]
        number = len(self._by_call_id)
        call = self._by_call_id[call_id] = _call(number, kind, field, legacy=self._legacy)
        call.has_arguments = arguments != _EMPTY
        self._name(call, event, item)
        name = msgspec.json.encode(self._names.get(item.name or "", item.name))
        said = b'{"name":%b,"%b":%b}' % (name, field, arguments)
        if not self._legacy:
            quoted = msgspec.json.encode(call_id)
            parts = (number, quoted, kind, kind, said)
            announced = b'{"tool_calls":[{"index":%d,"id":%b,"type":"%b","%b":%b}]}' % parts
            yield from self._turns.say(number, announced)
        elif number == 0:
            yield b'{"function_call":%b}' % said

    def _more(self, call: _Call, piece: bytes) -> Iterator[bytes]:
        if piece and call.head:
            call.has_arguments = True
            yield from self._turns.say(call.number, call.head + piece + call.tail)

    def _name(self, call: _Call, event: Event, item: Item) -> None:
        if event.output_index >= 0:
            self._by_index[event.output_index] = call
        if item.id:
            self._by_item_id[item.id] = call


def _call(number: int, kind: bytes, field: bytes, *, legacy: bool) -> _Call:
    """Return a call that is about to be announced.

    The old form holds one call; the upstream was asked for no more, so a second one has no place.
    """
    if not legacy:
        head = b'{"tool_calls":[{"index":%d,"%b":{"%b":' % (number, kind, field)
        return _Call(number, head, b"}}]}")
    if number == 0:
        return _Call(number, b'{"function_call":{"%b":' % field, b"}}")
    return _Call(number, b"", b"")
