"""The upstream's reply as a stream of chat chunks. Pure.

`Deltas` decides what is said; here it is only wrapped. A stream's text deltas take a shorter way,
as they are nearly all of the traffic: the upstream's raw JSON string is put between two byte
strings that are made once a stream, which costs 0.5 us instead of 2 (`tests/bench/chat_feed.py`);
the plain way is kept in the tests as its oracle. No socket is read and no clock asked.
"""

from typing import Final

import msgspec

from app.dialects.chat.deltas import Deltas
from app.dialects.chat.errors import error_event
from app.dialects.chat.events import event_of
from app.dialects.chat.fold import ChatFold
from app.dialects.chat.requests import ChatCall
from app.dialects.chat.usage import usage_of
from app.errors import GatewayError, StreamIncomplete

__all__ = ["ChatFold", "ChatStream"]

_TEXT_DELTA: Final = "response.output_text.delta"
_QUOTE: Final = ord('"')
_DONE: Final = b"data: [DONE]\n\n"
_INCOMPLETE: Final = "The upstream's stream ended before the answer did."


class ChatStream:
    """Turns the events of one reply into encoded chat chunks, in order.

    Feed it every event, then call `finish` once.
    """

    def __init__(self, *, call: ChatCall, id: str, created_at: int) -> None:
        self._deltas = Deltas(call)
        self._texts = self._deltas.texts
        self._include_usage = call.include_usage
        usage = b',"usage":null' if call.include_usage else b""
        self._start = b'data: {"id":%b,"object":"chat.completion.chunk","created":%d,"model":%b' % (
            msgspec.json.encode(id),
            created_at,
            msgspec.json.encode(call.model),
        )
        self._head = self._start + b',"choices":[{"index":0,"delta":'
        self._tail = b',"finish_reason":null}]%b}\n\n' % usage
        self._text_head = self._head + b'{"content":'
        self._text_tail = b"}" + self._tail
        self._text_at = len(self._text_head)
        self._text_bytes_min = self._text_at + len('"x"') + len(self._text_tail)

    @property
    def finished(self) -> bool:
        """Tell whether the upstream ended its reply well; nothing but `finish` is to come."""
        return self._deltas.finish_reason is not None

    @property
    def failure(self) -> GatewayError | None:
        """What the upstream said when it broke its reply off."""
        return self._deltas.failure

    def feed(self, data: bytes) -> bytes:
        """Return the encoded chunks that one event's JSON gives rise to; often one, maybe none.

        Never raises: what is no event of the known form gives rise to nothing.
        """
        event = event_of(data)
        if (
            event.type == _TEXT_DELTA
            and (event.output_index, event.content_index) == self._texts.open_text
        ):
            chunk = b"".join((self._text_head, event.delta, self._text_tail))
            said = chunk[self._text_at] == _QUOTE and len(chunk) >= self._text_bytes_min
            return chunk if said else b""
        if self._deltas.ended:
            return b""
        deltas = self._deltas.feed(event, data)
        chunks = [self._head + delta + self._tail for delta in deltas]
        if self.finished:
            chunks.append(self._last_chunk())
        return b"".join(chunks)

    def more_text(self, text: bytes) -> bytes:
        """Return the chunk that goes on with the text of the event before; `text` is its delta."""
        return b"".join((self._text_head, text, self._text_tail))

    def finish(self) -> bytes:
        """Return what is owed once the upstream's stream is over, however it ended.

        That is usage, if asked for, and `[DONE]`; for a reply that failed or just stopped it is
        the one error event that ends the stream, and `failure` says why.
        """
        if not self.finished:
            return error_event(self._deltas.fail(StreamIncomplete(_INCOMPLETE)))
        if not self._include_usage:
            return _DONE
        usage = usage_of(self._deltas.usage)
        return b'%b%b,"choices":[],"usage":%b}\n\n%b' % (self._start, self._tier(), usage, _DONE)

    def _last_chunk(self) -> bytes:
        reason = msgspec.json.encode(self._deltas.finish_reason)
        usage = b',"usage":null' if self._include_usage else b""
        parts = (self._start, self._tier(), reason, usage)
        return b'%b%b,"choices":[{"index":0,"delta":{},"finish_reason":%b}]%b}\n\n' % parts

    def _tier(self) -> bytes:
        """Return the tier that really served the call; only the last event knows it."""
        if self._deltas.service_tier is None:
            return b""
        return b',"service_tier":' + msgspec.json.encode(self._deltas.service_tier)
