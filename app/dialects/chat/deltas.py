"""From the events of one upstream reply to the deltas of one chat answer, in order.

A delta is an encoded JSON object: what stands under `choices[0].delta` of a chunk. The stream
wraps each of them in a chunk, the whole answer is their fold, so the two can't differ.

Rule 1: the first delta names the role.
Rule 2: what an event repeats (`.done`, the last event) is said only if no delta said it.
Rule 3: the first event that ends the reply counts; whatever follows is ignored.
Rule 4: `feed` is total: an event of unknown type or strange form gives rise to nothing.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias

import msgspec
from msgspec import Raw

from app.dialects.chat.calls import Calls
from app.dialects.chat.ends import Why, end_of
from app.dialects.chat.events import ABSENT, Event, Item, ItemEvent, Response, read
from app.dialects.chat.failures import failure_of_error_event, failure_of_response
from app.dialects.chat.requests import ChatCall
from app.dialects.chat.texts import Kind, Texts
from app.errors import GatewayError

_ROLE: Final = b'{"role":"assistant","content":""}'
_CALL_TYPES: Final = ("function_call", "custom_tool_call")
_REASONS: Final = {Why.LENGTH: "length", Why.FILTER: "content_filter"}
_NO_ITEMS: Final[list[Raw]] = []


class Deltas:
    """The memory of one reply: feed it every event, in order."""

    def __init__(self, call: ChatCall) -> None:
        self.finish_reason: str | None = None
        """Set once the reply is whole, or cut for a known reason."""
        self.failure: GatewayError | None = None
        """Set once the upstream broke the reply off."""
        self.usage: Raw = ABSENT
        self.service_tier: str | None = None
        self.texts = Texts()
        self._calls = Calls(call.tool_names, legacy=call.legacy_functions)
        self._begun = False

    @property
    def ended(self) -> bool:
        """Tell whether the reply is over, well or not."""
        return self.finish_reason is not None or self.failure is not None

    def feed(self, event: Event, data: bytes) -> list[bytes]:
        """Return the deltas that `event`, which was decoded from `data`, gives rise to."""
        handler = _HANDLERS.get(event.type)
        if handler is None or self.ended:
            return []
        deltas = list(handler(self, event, data))
        if self._begun or not (deltas or self.finish_reason):
            return deltas
        self._begun = True
        return [_ROLE, *deltas]

    def created(self, _event: Event, _data: bytes) -> Iterator[bytes]:
        """Begin, if nothing came before."""
        if not self._begun:
            self._begun = True
            yield _ROLE

    def item_added(self, event: Event, data: bytes) -> Iterator[bytes]:
        """Announce a call; other items speak for themselves."""
        item = _item(event, data)
        if item.type in _CALL_TYPES:
            yield from self._calls.added(event, item)

    def item_done(self, event: Event, data: bytes) -> Iterator[bytes]:
        """Say what of an item was not said yet."""
        yield from self._say(event, _item(event, data))

    def call_delta(self, event: Event, _data: bytes) -> Iterator[bytes]:
        """Say one more piece of a call."""
        yield from self._calls.delta(event)

    def call_done(self, event: Event, data: bytes) -> Iterator[bytes]:
        """Say a call's arguments, unless its deltas did."""
        yield from self._calls.arguments_done(event, data)

    def annotation(self, event: Event, data: bytes) -> Iterator[bytes]:
        """Say one citation."""
        yield from self.texts.annotation(event, data)

    def response_ended(self, event: Event, data: bytes) -> Iterator[bytes]:
        """End the reply as the response's last event says."""
        end = end_of(event, data)
        if end.why is Why.FAILED:
            self.fail(failure_of_response(data))
            return
        yield from self._left_over(end.response)
        yield from self._calls.rest()
        self.texts.open_text = None
        self.usage = end.response.usage
        self.service_tier = read(end.response.service_tier, str)
        self.finish_reason = _REASONS.get(end.why, self._calls.finish_reason)

    def error(self, _event: Event, data: bytes) -> Iterator[bytes]:
        """End the reply: the upstream broke it off."""
        self.fail(failure_of_error_event(data))
        yield from ()

    def fail(self, failure: GatewayError) -> GatewayError:
        """End the reply badly, and return why: `failure`, unless it had failed before."""
        self.texts.open_text = None
        self.failure = self.failure or failure
        return self.failure

    def _say(self, event: Event, item: Item) -> Iterator[bytes]:
        match item.type:
            case "message":
                yield from self.texts.message(event, item)
            case "reasoning":
                yield from self.texts.reasoning(event, item)
            case "function_call" | "custom_tool_call":
                yield from self._calls.done(event, item)
            case "image_generation_call" if item.result:
                kind = item.output_format or "png"
                url = f"data:image/{kind};base64,{item.result}"
                image = {"type": "image_url", "image_url": {"url": url}}
                yield msgspec.json.encode({"images": [image]})

    def _left_over(self, response: Response) -> Iterator[bytes]:
        """Say what only the last event has: messages if no text came, and unknown calls."""
        wanted = _CALL_TYPES if self.texts.any_answer else (*_CALL_TYPES, "message")
        for index, raw in enumerate(read(response.output, list[Raw]) or _NO_ITEMS):
            item = read(raw, Item) or Item()
            if item.type in wanted:
                yield from self._say(Event(output_index=index, item_id=item.id or ""), item)


def _item(event: Event, data: bytes) -> Item:
    """Return the item of `event`, and let the event go by the item's id."""
    found = read(data, ItemEvent)
    item = found.item if found else Item()
    event.item_id = event.item_id or item.id or ""
    return item


_Handler: TypeAlias = Callable[[Deltas, Event, bytes], Iterator[bytes]]


def _on_delta(kind: Kind) -> _Handler:
    return lambda deltas, event, _data: deltas.texts.delta(kind, event)


def _on_done(kind: Kind) -> _Handler:
    return lambda deltas, event, data: deltas.texts.done(kind, event, data)


_HANDLERS: Final[Mapping[str, _Handler]] = {
    "error": Deltas.error,
    "response.completed": Deltas.response_ended,
    "response.created": Deltas.created,
    "response.custom_tool_call_input.delta": Deltas.call_delta,
    "response.custom_tool_call_input.done": Deltas.call_done,
    "response.done": Deltas.response_ended,
    "response.failed": Deltas.response_ended,
    "response.function_call_arguments.delta": Deltas.call_delta,
    "response.function_call_arguments.done": Deltas.call_done,
    "response.incomplete": Deltas.response_ended,
    "response.output_item.added": Deltas.item_added,
    "response.output_item.done": Deltas.item_done,
    "response.output_text.annotation.added": Deltas.annotation,
    "response.output_text.delta": _on_delta("text"),
    "response.output_text.done": _on_done("text"),
    "response.reasoning_summary_text.delta": _on_delta("summary"),
    "response.reasoning_summary_text.done": _on_done("summary"),
    "response.reasoning_text.delta": _on_delta("thought"),
    "response.reasoning_text.done": _on_done("thought"),
    "response.refusal.delta": _on_delta("refusal"),
    "response.refusal.done": _on_done("refusal"),
}
