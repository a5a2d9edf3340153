"""Decodes a chat stream straight into Responses events, by the interface of `SseDecoder`. Pure.

Nearly all events of a stream add a piece to the text that is open, and differ from one another in
that piece alone. Those are neither decoded nor encoded: what stands around the piece is compared
with what stood around the last one. The plain way is `Retold.feed`; a test holds both together.
"""

from typing import Final

from app.dialects.chat_upstream.replies import Retold
from app.wire.sse import SseDecoder, SseEvent

_NAME: Final = "response.output_text.delta"
_DATA_AT: Final = len(b"event: \ndata: ") + len(_NAME)


class RetoldDecoder:
    """Incremental decoder of one stream."""

    __slots__ = ("_retold", "_sse", "taken")

    def __init__(self, retold: Retold, *, event_bytes_max: int) -> None:
        self._retold = retold
        self._sse = SseDecoder(event_bytes_max=event_bytes_max)
        self.taken = b""
        """The bytes of the events that the last `feed` returned."""

    def feed(self, chunk: bytes) -> list[SseEvent]:
        """Return the events that `chunk` gives rise to; those of more text have their words.

        Raises:
            UpstreamProtocolError: One event, or the whole answer, is too large.
        """
        retold = self._retold
        events: list[SseEvent] = []
        for came in self._sse.feed(chunk):
            raw, text = retold.more_text(came.data)
            if text:
                events.append(SseEvent(_NAME, raw[_DATA_AT:-2], raw, text))
            elif said := retold.feed(came.data):
                events += SseDecoder().feed(said)
        self.taken = events[0].raw if len(events) == 1 else b"".join([one.raw for one in events])
        return events

    def finish(self) -> SseEvent | None:
        """Owe nothing: how the stream ended was told by its last piece."""
        return None
