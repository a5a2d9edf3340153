"""From the events of one upstream reply to the frames of one Messages answer, in order.

The stream sends the frames as they are, the whole answer is their fold, so the two can't differ.

Rule 1: the first frame is `message_start`.
Rule 2: what an event repeats (`.done`, the last event) is said only if nothing said it before.
Rule 3: the first event that ends the reply counts; whatever follows is ignored.
Rule 4: after a stop sequence nothing is said but the end.
Rule 5: `feed` is total: an event of unknown type or strange form gives rise to nothing.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias

from msgspec import Raw

from app.dialects.chat.ends import Why, end_of
from app.dialects.chat.events import Event, Response, read
from app.dialects.chat.failures import failure_of_error_event, failure_of_response
from app.dialects.messages import frames, texts, thoughts
from app.dialects.messages.blocks import Blocks
from app.dialects.messages.calls import CALL_TYPES, Calls
from app.dialects.messages.items import Item, item_of
from app.dialects.messages.memory import Said
from app.dialects.messages.requests import MessagesCall
from app.dialects.messages.searches import SEARCH_TYPE, Searches
from app.dialects.messages.stops import Stops
from app.dialects.messages.texts import Texts
from app.dialects.messages.thoughts import Thoughts
from app.dialects.messages.usage import usage_of
from app.errors import GatewayError

_REASONS: Final = {Why.LENGTH: "max_tokens", Why.FILTER: "refusal"}
_NO_ITEMS: Final[list[Raw]] = []


class Answer:
    """The memory of one reply: feed it every event, in order."""

    def __init__(self, call: MessagesCall, *, id: str) -> None:
        self.stop_reason: str | None = None
        """Set once the reply is whole, or cut for a known reason."""
        self.failure: GatewayError | None = None
        """Set once the upstream broke the reply off."""
        self._stops = Stops(call.stop_sequences) if call.stop_sequences else None
        said = Said()
        blocks = self._blocks = Blocks(rest=self._stops.rest if self._stops else bytes)
        self.texts = Texts(blocks, said, self._stops)
        self._thoughts = Thoughts(blocks, said, call.shown)
        self._calls = Calls(blocks, call.tool_names)
        self._searches = Searches(blocks, said)
        self._start: bytes | None = frames.message_start(id, call.model)

    @property
    def ended(self) -> bool:
        """Tell whether the reply is over, well or not."""
        return self.stop_reason is not None or self.failure is not None

    def feed(self, event: Event, data: bytes) -> list[bytes]:
        """Return the frames that `event`, which was decoded from `data`, gives rise to."""
        handler = _HANDLERS.get(event.type)
        if handler is None or self.ended:
            return []
        if self._stops and self._stops.hit is not None and handler is not Answer.response_ended:
            return []
        said = list(handler(self, event, data))
        if self._start is None or not (said or event.type == "response.created"):
            return said
        start, self._start = self._start, None
        return [start, *said]

    def created(self, _event: Event, _data: bytes) -> Iterator[bytes]:
        """Say nothing yet: `feed` begins the answer."""
        yield from ()

    def item_added(self, event: Event, data: bytes) -> Iterator[bytes]:
        """Announce a call; other items speak for themselves."""
        item = item_of(event, data)
        if item.type in CALL_TYPES:
            yield from self._calls.added(event, item)

    def item_done(self, event: Event, data: bytes) -> Iterator[bytes]:
        """Say what of an item was not said yet."""
        yield from self._say(event, item_of(event, data))

    def call_delta(self, event: Event, _data: bytes) -> Iterator[bytes]:
        """Say one more piece of a call."""
        yield from self._calls.delta(event)

    def call_done(self, event: Event, data: bytes) -> Iterator[bytes]:
        """Say a call's arguments, unless its deltas did."""
        yield from self._calls.arguments_done(event, data)

    def annotation(self, event: Event, data: bytes) -> Iterator[bytes]:
        """Say one citation."""
        yield from self.texts.annotation(event, data)

    def text_delta(self, kind: texts.Kind, event: Event) -> Iterator[bytes]:
        """Say one more piece of text."""
        yield from self.texts.delta(kind, event)

    def text_done(self, kind: texts.Kind, event: Event, data: bytes) -> Iterator[bytes]:
        """Say a whole text, unless its deltas did."""
        yield from self.texts.done(kind, event, data)

    def thought_delta(self, kind: thoughts.Kind, event: Event) -> Iterator[bytes]:
        """Say one more piece of what was thought."""
        yield from self._thoughts.delta(kind, event)

    def thought_done(self, kind: thoughts.Kind, event: Event, data: bytes) -> Iterator[bytes]:
        """Say a whole part of what was thought, unless its deltas did."""
        yield from self._thoughts.done(kind, event, data)

    def response_ended(self, event: Event, data: bytes) -> Iterator[bytes]:
        """End the reply as the response's last event says."""
        end = end_of(event, data)
        if end.why is Why.FAILED:
            self.fail(failure_of_response(data))
            return
        if self._stops is None or self._stops.hit is None:
            yield from self._left_over(end.response)
        yield from self._blocks.close()
        self.stop_reason, hit = self._end(end.why)
        usage = usage_of(end.response.usage, searches=self._searches.count)
        yield frames.message_delta(self.stop_reason, hit, usage)
        yield frames.MESSAGE_STOP

    def error(self, _event: Event, data: bytes) -> Iterator[bytes]:
        """End the reply: the upstream broke it off."""
        self.fail(failure_of_error_event(data))
        yield from ()

    def fail(self, failure: GatewayError) -> GatewayError:
        """End the reply badly, and return why: `failure`, unless it had failed before."""
        self.texts.block = None
        self.failure = self.failure or failure
        return self.failure

    def _end(self, why: Why) -> tuple[str, str | None]:
        """Return why the answer is over, and the stop sequence that was met, if one was."""
        if self._stops and self._stops.hit is not None:
            return "stop_sequence", self._stops.hit
        if why in _REASONS:
            return _REASONS[why], None
        if self._calls.any:
            return "tool_use", None
        return ("refusal" if self.texts.refused else "end_turn"), None

    def _say(self, event: Event, item: Item) -> Iterator[bytes]:
        match item.type:
            case "message":
                yield from self.texts.message(event, item)
            case "reasoning":
                yield from self._thoughts.item(event, item)
            case "function_call" | "custom_tool_call":
                yield from self._calls.done(event, item)
            case "web_search_call":
                yield from self._searches.done(event, item)

    def _left_over(self, response: Response) -> Iterator[bytes]:
        """Say what only the last event has: messages if no text came, and unknown items."""
        wanted = (*CALL_TYPES, SEARCH_TYPE) if self.texts.any else None
        for index, raw in enumerate(read(response.output, list[Raw]) or _NO_ITEMS):
            item = read(raw, Item) or Item()
            if wanted is None or item.type in wanted:
                yield from self._say(Event(output_index=index, item_id=item.id or ""), item)


_Handler: TypeAlias = Callable[[Answer, Event, bytes], Iterator[bytes]]


def _text(kind: texts.Kind) -> tuple[_Handler, _Handler]:
    """Return what says a piece and what says the whole of this kind of text."""
    return (
        lambda answer, event, _data: answer.text_delta(kind, event),
        lambda answer, event, data: answer.text_done(kind, event, data),
    )


def _thought(kind: thoughts.Kind) -> tuple[_Handler, _Handler]:
    """Return what says a piece and what says the whole of this kind of reasoning."""
    return (
        lambda answer, event, _data: answer.thought_delta(kind, event),
        lambda answer, event, data: answer.thought_done(kind, event, data),
    )


_HANDLERS: Final[Mapping[str, _Handler]] = {
    "error": Answer.error,
    "response.completed": Answer.response_ended,
    "response.created": Answer.created,
    "response.custom_tool_call_input.delta": Answer.call_delta,
    "response.custom_tool_call_input.done": Answer.call_done,
    "response.done": Answer.response_ended,
    "response.failed": Answer.response_ended,
    "response.function_call_arguments.delta": Answer.call_delta,
    "response.function_call_arguments.done": Answer.call_done,
    "response.incomplete": Answer.response_ended,
    "response.output_item.added": Answer.item_added,
    "response.output_item.done": Answer.item_done,
    "response.output_text.annotation.added": Answer.annotation,
    "response.output_text.delta": _text("text")[0],
    "response.output_text.done": _text("text")[1],
    "response.reasoning_summary_text.delta": _thought("summary")[0],
    "response.reasoning_summary_text.done": _thought("summary")[1],
    "response.reasoning_text.delta": _thought("thought")[0],
    "response.reasoning_text.done": _thought("thought")[1],
    "response.refusal.delta": _text("refusal")[0],
    "response.refusal.done": _text("refusal")[1],
}
