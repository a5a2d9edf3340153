"""Events that come as messages, one each: what `app.wire.sse` is for streams of bytes. Pure.

A message is the data of one event and nothing else. For a caller who is streamed to as well it
stays the object that was received; for one who reads server-sent events it is framed here, with the
name that stands in its data.
"""

import re
from typing import Final

import msgspec
from msgspec import Struct

from app.errors import UpstreamProtocolError
from app.wire.sse import SseEvent, encode

_USUAL: Final = re.compile(rb'\{"type":"([a-z0-9_.]{1,64})"')


class _Name(Struct):
    type: str


class MessageDecoder:
    """Takes messages one by one; the interface is that of `app.wire.sse.SseDecoder`."""

    __slots__ = ("_event_bytes_max", "_framed", "taken")

    def __init__(self, *, event_bytes_max: int, framed: bool) -> None:
        """Without `framed` an event's `raw` is the message itself."""
        self._event_bytes_max = event_bytes_max
        self._framed = framed
        self.taken = b""
        """The bytes of the event that the last `feed` returned."""

    def feed(self, message: bytes) -> list[SseEvent]:
        """Return the event that a message is.

        Raises:
            UpstreamProtocolError: It is larger than `event_bytes_max`.
        """
        if len(message) > self._event_bytes_max:
            size = self._event_bytes_max
            raise UpstreamProtocolError(f"The upstream sent an event of more than {size} bytes.")
        raw = framed(message) if self._framed else message
        self.taken = raw
        return [SseEvent("", message, raw)]

    def finish(self) -> SseEvent | None:
        """Owe nothing: a message is whole or was never received."""
        return None


def framed(message: bytes) -> bytes:
    """Return a message as a server-sent event."""
    if b"\n" in message or b"\r" in message:
        # Between JSON's tokens a line end is a blank like any other; within them it can't stand.
        message = message.replace(b"\n", b" ").replace(b"\r", b" ")
    found = _USUAL.match(message)
    if found is None:
        return encode(_name(message), message)
    return b"event: %b\ndata: %b\n\n" % (found[1], message)


def _name(message: bytes) -> str:
    try:
        name = msgspec.json.decode(message, type=_Name).type
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return name if name.isprintable() else ""
