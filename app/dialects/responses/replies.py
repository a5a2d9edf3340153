"""A Responses reply on its way to the caller: passed through, or folded into one answer.

Pass-through forwards the upstream's own bytes. Codex clients get all of them. On the public
route two things differ: private events are left out, and a terminal event whose `output` is
empty, as the backend sends it, gets the items that were streamed before it, spliced in as the
raw JSON that they came in. The fold does the same to the terminal event and returns its
response, so a non-streamed answer is what the streamed one ends with.

Neither judges a failure: that is for who holds the lease.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

import msgspec
from msgspec import Raw, Struct

from app.dialects.responses.events import Kind, classify, failure_of
from app.errors import StreamIncomplete, UpstreamError, UpstreamProtocolError
from app.wire.sse import SseEvent, encode

STREAM_ITEMS_BYTES_MAX: Final = 16 * 1024 * 1024
FOLD_ITEMS_BYTES_MAX: Final = 64 * 1024 * 1024

_MEMBERS: Final = msgspec.json.Decoder(dict[str, Raw])
_EMPTY: Final = (None, Raw(b"null"), Raw(b"[]"))
_ZERO: Final = Raw(b"0")
_COUNTS: Final = ("input_tokens", "output_tokens", "total_tokens")
_DETAILS: Final = {
    "input_tokens_details": {"cached_tokens": _ZERO, "cache_write_tokens": _ZERO},
    "output_tokens_details": {"reasoning_tokens": _ZERO},
}


class _ItemDone(Struct):
    item: Raw
    output_index: int | None = None


class _Items:
    """The items that a stream has finished, in the order of their indexes. Bounded."""

    def __init__(self, *, bytes_max: int) -> None:
        self._bytes_left = bytes_max
        self._by_index: dict[int, bytes] = {}
        self.overflowing = False

    def add(self, data: bytes) -> None:
        """Keep the item of an `output_item.done` event; over the bound, forget them all."""
        try:
            done = msgspec.json.decode(data, type=_ItemDone)
        except msgspec.DecodeError:
            return
        # A view would keep the whole event alive.
        item = bytes(done.item)
        index = len(self._by_index) if done.output_index is None else done.output_index
        self._bytes_left += len(self._by_index.get(index, b"")) - len(item)
        self._by_index[index] = item
        if self._bytes_left < 0:
            self.overflowing = True
            self._by_index.clear()

    def items(self) -> list[bytes]:
        """Return the items; none if there were too many to keep."""
        return [self._by_index[index] for index in sorted(self._by_index)]

    def output(self) -> Raw | None:
        """Return the `output` that they make, or None if there is nothing to say."""
        if not self._by_index or self.overflowing:
            return None
        return Raw(b"[" + b",".join(self.items()) + b"]")


Note: TypeAlias = Callable[[str, list[bytes]], None]
"""Is told the id and the output items of a response that has come to its end."""


class ResponsesStream:
    """The pass-through lane of one reply. Owns nothing but the items it has seen.

    `note` is told of the response when it is there, before its last event goes out.
    """

    def __init__(self, *, codex_route: bool, note: Note | None = None) -> None:
        self._codex_route = codex_route
        self._note = note
        self._items = _Items(bytes_max=STREAM_ITEMS_BYTES_MAX)

    def feed(self, raw: bytes, events: Sequence[SseEvent]) -> bytes:
        """Return what the caller gets for `events`; `raw` itself where nothing differs.

        `raw` must be the concatenation of the events' own bytes.
        """
        if self._codex_route:
            if self._note is not None:
                for event in events:
                    self._overheard(event.data)
            return raw
        if len(events) == 1:
            event = events[0]
            new = self._passed(event)
            return raw if new is event else b"" if new is None else new.raw
        passed = [self._passed(event) for event in events]
        if all(new is event for new, event in zip(passed, events, strict=True)):
            return raw
        return b"".join(event.raw for event in passed if event is not None)

    def messages(self, events: Sequence[SseEvent]) -> list[bytes]:
        """Return what the caller gets on a WebSocket, an event a message."""
        if self._codex_route:
            if self._note is not None:
                for event in events:
                    self._overheard(event.data)
            return [event.data for event in events]
        return [new.data for event in events if (new := self._passed(event)) is not None]

    def _passed(self, event: SseEvent) -> SseEvent | None:
        match classify(event.data):
            case Kind.PRIVATE:
                return None
            case Kind.ITEM_DONE:
                self._items.add(event.data)
            case Kind.COMPLETED | Kind.INCOMPLETE:
                return self._completed(event)
        return event

    def _overheard(self, data: bytes) -> None:
        """Take note of an event that goes out as it came."""
        match classify(data):
            case Kind.ITEM_DONE:
                self._items.add(data)
            case Kind.COMPLETED | Kind.INCOMPLETE:
                self._tell(_object(_members(data).get("response")))

    def _tell(self, response: dict[str, Raw]) -> None:
        if self._note is not None and not self._items.overflowing:
            _tell(self._note, response, self._items)

    def _completed(self, event: SseEvent) -> SseEvent:
        output = self._items.output()
        members = _members(event.data)
        response = _object(members.get("response"))
        self._tell(response)
        if output is None or not response or response.get("output") not in _EMPTY:
            return event
        response["output"] = output
        filled: dict[str, object] = {**members, "response": response}
        name = msgspec.json.decode(members["type"], type=str)
        data = msgspec.json.encode(filled)
        return SseEvent(name, data, encode(name, data))


class ResponsesFold:
    """The whole reply as one answer. Feed it every event, then take `body` once.

    `note` is told of the response when its body is taken.
    """

    def __init__(self, *, note: Note | None = None) -> None:
        self._note = note
        self._items = _Items(bytes_max=FOLD_ITEMS_BYTES_MAX)
        self._terminal: bytes | None = None
        self._failure: bytes | None = None

    def feed(self, events: Sequence[SseEvent]) -> None:
        """Take note of `events`.

        Raises:
            UpstreamProtocolError: The answer is over `FOLD_ITEMS_BYTES_MAX`.
        """
        for event in events:
            match classify(event.data):
                case Kind.ITEM_DONE:
                    self._items.add(event.data)
                case Kind.COMPLETED | Kind.INCOMPLETE:
                    self._terminal = event.data
                case Kind.FAILED | Kind.ERROR:
                    self._failure = event.data
        if self._items.overflowing:
            raise UpstreamProtocolError(
                f"The answer is over {FOLD_ITEMS_BYTES_MAX} bytes: ask for it as a stream."
            )

    def body(self) -> bytes:
        """Return the answer: the terminal event's response, `output` and `usage` complete.

        Raises:
            StreamIncomplete: There was no terminal event with a response.
            UpstreamError: The reply failed; the upstream's words are kept.
        """
        if self._terminal is None and self._failure is not None:
            failure = failure_of(self._failure)
            raise UpstreamError(
                failure.message or "The upstream broke off the answer.", param=failure.param
            )
        response = _object(_members(self._terminal or b"{}").get("response"))
        if not response:
            raise StreamIncomplete("The upstream's stream ended without its terminal event.")
        if self._note is not None:
            _tell(self._note, response, self._items)
        answer: dict[str, object] = {**response, "usage": completed_usage(response.get("usage"))}
        if response.get("output") in _EMPTY:
            answer["output"] = self._items.output() or []
        return msgspec.json.encode(answer)


def _tell(note: Note, response: Mapping[str, Raw], streamed: _Items) -> None:
    """Tell of a response that has an id: the items that it has itself, else the streamed ones."""
    try:
        named = msgspec.json.decode(response.get("id", b"null"))
        told = msgspec.json.decode(response.get("output", b"null"), type=list[Raw] | None)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return
    if isinstance(named, str) and named:
        note(named, [bytes(item) for item in told] if told else streamed.items())


def _members(data: bytes) -> dict[str, Raw]:
    """Return an event's members; none if its names are no UTF-8."""
    try:
        return _MEMBERS.decode(data)
    except UnicodeDecodeError:
        return {}


def _object(value: Raw | None) -> dict[str, Raw]:
    """Return the members of a raw object; none if it isn't one."""
    if value is None or bytes(memoryview(value)[:1]) != b"{":
        return {}
    return _members(bytes(value))


def completed_usage(given: Raw | None) -> dict[str, object]:
    """Return the usage with zeros where typed SDKs would otherwise find nothing."""
    told = _told(given)
    usage: dict[str, object] = {**dict.fromkeys(_COUNTS, _ZERO), **told}
    for name, zeros in _DETAILS.items():
        usage[name] = {**zeros, **_told(told.get(name))}
    return usage


def _told(value: Raw | None) -> dict[str, Raw]:
    return {name: told for name, told in _object(value).items() if told not in _EMPTY}
