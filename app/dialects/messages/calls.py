"""The tool calls of one reply as tool_use blocks, each said once.

A call goes by its item's index, its item's id and its call id. Its arguments come as deltas, or
whole in a `.done` event. A call that is announced nowhere is said whole when its item is done.
A custom tool's input is free text, so it comes as an object with this text in it.
"""

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec
from msgspec import Struct

from app.dialects.chat.events import DoneEvent, Event, arguments_of, read, string_of
from app.dialects.messages.blocks import Block, Blocks
from app.dialects.messages.items import Item

CALL_TYPES: Final = ("function_call", "custom_tool_call")
_NO_ARGUMENTS: Final = b""


class _Call(Struct, eq=False):
    """A call that was announced."""

    block: Block
    free: bool
    """Its input is free text."""
    has_arguments: bool = False


class Calls:
    """The calls so far."""

    def __init__(self, blocks: Blocks, names: Mapping[str, str]) -> None:
        self._blocks = blocks
        self._names = names
        self._by_index: dict[int, _Call] = {}
        self._by_item_id: dict[str, _Call] = {}
        self._by_call_id: dict[str, _Call] = {}

    @property
    def any(self) -> bool:
        """Tell whether a tool was called."""
        return bool(self._by_call_id)

    def added(self, event: Event, item: Item) -> Iterator[bytes]:
        """Announce a call; without an id or a name it has to wait until it is done."""
        if item.call_id and item.name and not self._known(event, item):
            yield from self._announce(event, item, item.call_id)

    def delta(self, event: Event) -> Iterator[bytes]:
        """Say one more piece of a call's arguments."""
        call = self._find(event)
        if call and not call.free and (piece := string_of(event.delta)):
            yield from self._more(call, piece)

    def arguments_done(self, event: Event, data: bytes) -> Iterator[bytes]:
        """Say a call's whole arguments, unless its deltas did."""
        call, done = self._find(event), read(data, DoneEvent) or DoneEvent()
        if call:
            whole = _free(string_of(done.input)) if call.free else arguments_of(done.arguments)
            if not call.has_arguments:
                yield from self._more(call, whole)
            if call.has_arguments:
                yield from self._blocks.end(call.block)

    def done(self, event: Event, item: Item) -> Iterator[bytes]:
        """Say what of a whole call was not said yet, and end it."""
        call = self._known(event, item)
        if call is None and item.call_id and item.name:
            yield from self._announce(event, item, item.call_id)
            call = self._by_call_id[item.call_id]
        if call:
            if not call.has_arguments:
                whole = _free(string_of(item.input)) if call.free else arguments_of(item.arguments)
                yield from self._more(call, whole)
            yield from self._blocks.end(call.block)

    def _known(self, event: Event, item: Item) -> _Call | None:
        """Return the call if it was announced, and let it go by the names it has now."""
        call = self._by_call_id.get(item.call_id) if item.call_id else self._find(event)
        if call:
            self._name(call, event, item)
        return call

    def _find(self, event: Event) -> _Call | None:
        return self._by_index.get(event.output_index) or self._by_item_id.get(event.item_id)

    def _announce(self, event: Event, item: Item, call_id: str) -> Iterator[bytes]:
        name = item.name or ""
        block, begun = self._blocks.begin(
            {
                "type": "tool_use",
                "id": call_id,
                "name": self._names.get(name, name),
                "input": {},
            }
        )
        call = self._by_call_id[call_id] = _Call(block, item.type == "custom_tool_call")
        self._name(call, event, item)
        yield from begun

    def _more(self, call: _Call, piece: bytes) -> Iterator[bytes]:
        if piece and not call.block.ended:
            call.has_arguments = True
            yield from self._blocks.more(call.block, "json", piece)

    def _name(self, call: _Call, event: Event, item: Item) -> None:
        if event.output_index >= 0:
            self._by_index[event.output_index] = call
        if item.id:
            self._by_item_id[item.id] = call


def _free(raw: bytes) -> bytes:
    """Return a free text as an object's text, both JSON strings."""
    if not raw:
        return _NO_ARGUMENTS
    return msgspec.json.encode((b'{"input":%b}' % raw).decode(errors="replace"))
