"""Server-sent events: bytes in, events out, no I/O.

An event keeps the exact bytes that carried it, so a pass-through reply forwards `raw` and
encodes nothing; only a translated reply looks into `data`. Lines end in CR, LF or CRLF and in
nothing else (not in U+2028, which is legal inside JSON). Comments and empty blocks belong to
the bytes of the event that follows them. The `event:` line is only a hint and may be missing:
whoever needs an event's type reads it from the data.

Rule 1: however a stream is cut, the events are the same and their `raw`s join to the stream.
Rule 2: a chunk that is whole events comes back as the very same object (`SseDecoder.taken`).
Rule 3: nothing grows past `event_bytes_max`.
"""

import re
from typing import Final

from msgspec import Struct

from app.errors import UpstreamProtocolError

EVENT_BYTES_MAX: Final = 16 * 1024 * 1024

_BOM: Final = b"\xef\xbb\xbf"
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
# Atomic groups: without them "x\r\n" would match as a bare CR and a bare LF, a false blank line.
_BLOCK_END: Final = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")


class SseEvent(Struct, frozen=True, gc=False):
    """One event: its `event:` name (may be empty), its data, and the bytes it came in."""

    name: str
    data: bytes
    raw: bytes
    text: bytes = b""
    """If it goes on with the text of the event before: its words, a JSON string. Known only of
    upstreams whose replies are retold."""


class SseDecoder:
    """Incremental decoder of one stream. Feed it every chunk, then call `finish` once."""

    __slots__ = ("_event_bytes_max", "_held", "_scanned", "_started", "taken")

    def __init__(self, *, event_bytes_max: int = EVENT_BYTES_MAX) -> None:
        self._event_bytes_max = event_bytes_max
        self._held = bytearray()
        self._scanned = 0
        self._started = False
        self.taken = b""
        """The bytes of the events that the last `feed` returned: the chunk itself if it can be."""

    @property
    def held_bytes(self) -> int:
        """Return how many bytes wait for the rest of their event."""
        return len(self._held)

    def feed(self, chunk: bytes) -> list[SseEvent]:
        """Return the events that `chunk` completes; `taken` is what they came in.

        Raises:
            UpstreamProtocolError: One event grew past `event_bytes_max`.
        """
        # An upstream writes one event at a time, so nearly every chunk is made of whole events.
        # tests/bench/sse_feed.py: it costs less than half here of what the general way below takes.
        begun = self._started or not chunk.startswith(_BOM[:1])
        if begun and not self._held and b"\r" not in chunk:
            event = _usual(chunk)
            events = _whole(chunk) if event is None else [event]
            if events is not None:
                self._started = True
                self.taken = chunk
                return events
        return self._feed_any(chunk)

    def finish(self) -> SseEvent | None:
        """Return the event that the end of the stream completes, if any.

        The blank line that the stream owes is part of `raw`, so that it can be forwarded.
        """
        block, self._held = bytes(self._held), bytearray()
        return _parse(block if _BLOCK_END.search(block[-4:]) else block.rstrip(b"\r\n") + b"\n\n")

    def _feed_any(self, chunk: bytes) -> list[SseEvent]:
        whole = not self._held
        self._held += chunk
        if not self._started:
            if len(self._held) < len(_BOM) and _BOM.startswith(self._held):
                self.taken = b""
                return []
            self._started = True
        events, end = self._split()
        if whole and end == len(chunk):
            self.taken = chunk
        else:
            self.taken = bytes(memoryview(self._held)[:end])
        del self._held[:end]
        self._scanned = max(0, len(self._held) - 3)
        if len(self._held) > self._event_bytes_max:
            size = self._event_bytes_max
            raise UpstreamProtocolError(f"The upstream sent an event of more than {size} bytes.")
        return events

    def _split(self) -> tuple[list[SseEvent], int]:
        """Return the complete events in `_held` and where the last of them ends."""
        events: list[SseEvent] = []
        held, start, at = self._held, 0, self._scanned
        while (match := _BLOCK_END.search(held, at)) is not None:
            at = match.end()
            # A CR at the very end may be half of a CRLF. Where this block uses CRLF it is, so
            # its LF is waited for; a stream of bare CRs is not held back for a byte to come.
            if at == len(held) and held[at - 1] == 13 and held.find(b"\r\n", start, at) >= 0:
                break
            event = _parse(bytes(memoryview(held)[start:at]))
            if event is not None:
                events.append(event)
                start = at
        return events, start


def encode(name: str, data: bytes) -> bytes:
    """Return the bytes of one event, its blank line included. `data` must hold no line end."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data) if name else b"data: %b\n\n" % data


def _whole(chunk: bytes) -> list[SseEvent] | None:
    """Return the events of a chunk without a CR that is whole events and nothing else.

    None if it is not, or if it can't be told so easily: a block in it holds no data.
    """
    if not chunk.endswith(b"\n\n"):
        return None
    events: list[SseEvent] = []
    for block in chunk[:-2].split(b"\n\n"):
        whole = block + b"\n\n"
        event = _usual(whole) or _parse(whole)
        if event is None:
            return None
        events.append(event)
    return events


def _usual(block: bytes) -> SseEvent | None:
    """Return the event of a block without a CR, if it is written as nearly all are."""
    # A name and one line of data: what every Responses upstream sends.
    if block.startswith(b"event: "):
        at = block.find(b"\n", 7)
        if not block.startswith(b"\ndata: ", at):
            return None
        name, data_at = str(block[7:at], "utf-8", "replace"), at + 7
    # One line without a name: what upstreams of Chat Completions send.
    elif block.startswith(b"data: "):
        name, data_at = "", 6
    else:
        return None
    # The line of data is the last but an empty one.
    if block.find(b"\n", data_at) != len(block) - 2 or not block.endswith(b"\n"):
        return None
    return SseEvent(name, block[data_at:-2], block)


def _parse(block: bytes) -> SseEvent | None:
    """Return the event of one block of lines; None if it holds no data."""
    usual = None if b"\r" in block else _usual(block)
    if usual is not None:
        return usual
    name = ""
    data: list[bytes] = []
    for line in _LINE_END.split(block.removeprefix(_BOM)):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = str(value, "utf-8", "replace")
        elif not line and not data:
            name = ""  # a name without data belongs to no event
    return SseEvent(name, b"\n".join(data), block) if data else None
