"""One upgraded connection as a WebSocket: messages in, frames out, right or wrong.

`Socket` answers pings, joins fragments, enforces the size limit and closes. Framing of what comes
in is done by `websockets`; frames that go out are built here, so that a test can have them
fragmented, binary or never answered. What the messages mean is `websocket`'s business.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable

from websockets.exceptions import InvalidState, ProtocolError
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Request as Handshake
from websockets.protocol import State
from websockets.server import ServerProtocol

from loadtests.simulator.config import Knobs
from loadtests.simulator.exchange import Exchange
from loadtests.simulator.playback import Playback

TEXTS_QUEUED_MAX = 64
_PONG = b"\x8a"


class Socket:
    """One WebSocket; `shake_hands` comes first, then the connection is upgraded to it."""

    def __init__(self, exchange: Exchange, knobs: Knobs) -> None:
        transport = exchange.connection.transport
        assert transport is not None  # noqa: S101  (narrows the type)
        self._transport = transport
        self._exchange = exchange
        self._knobs = knobs
        extensions = [ServerPerMessageDeflateFactory()] if knobs.ws_deflate else []
        size_max = knobs.ws_message_bytes_max
        self._protocol = ServerProtocol(extensions=extensions, max_size=size_max)
        self._parts: list[bytes] = []
        self._arrived = asyncio.Event()
        self.texts: deque[bytes] = deque()
        self.on_text: Callable[[bytes], None] | None = None
        self.playback: Playback | None = None
        self.closing = False

    @property
    def blocked(self) -> bool:
        """Whether the send buffer is full."""
        return self._exchange.connection.blocked

    def shake_hands(self, headers: list[tuple[str, str]]) -> int:
        """Answer the upgrade request with these extra headers; returns the status sent."""
        self._protocol.receive_data(self._exchange.request.raw)
        handshake = next(iter(self._protocol.events_received()), None)
        if not isinstance(handshake, Handshake):
            return 0
        response = self._protocol.accept(handshake)
        for name, value in headers:
            response.headers[name] = value
        self._protocol.send_response(response)
        self._flush()
        if response.status_code == 101:
            self._exchange.connection.upgrade(self)
        return response.status_code

    def feed(self, data: bytes) -> None:
        """Bytes from the peer."""
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                self._take(event)
        self._flush()
        if self._protocol.state is not State.OPEN and not self.closing:
            self.end()
            self._transport.close()

    def resumed(self) -> None:
        """The send buffer has drained."""
        if self.playback is not None:
            self.playback.resumed()

    def lost(self) -> None:
        """The connection is gone."""
        self.end()

    def end(self) -> None:
        """Nothing more is sent or taken."""
        self.closing = True
        self._arrived.set()
        if self.playback is not None:
            self.playback.lost()

    async def wait(self, seconds: float | None) -> None:
        """Wait for a text, for the end of the socket, or for the time to run out."""
        if self.texts or self.closing:
            return
        self._arrived.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._arrived.wait(), seconds)

    def send(self, payload: bytes, opcode: Opcode = Opcode.TEXT) -> None:
        """Send one message, in fragments when the knobs want that."""
        if self.closing:
            return
        size = self._knobs.ws_fragment_bytes
        if self._protocol.extensions:
            binary = opcode is Opcode.BINARY
            send = self._protocol.send_binary if binary else self._protocol.send_text
            send(payload)
            self._flush()
        elif not size or len(payload) <= size:
            self._transport.write(frame(payload, opcode))
        else:
            for at in range(0, len(payload), size):
                kind = opcode if not at else Opcode.CONT
                final = at + size >= len(payload)
                self._transport.write(frame(payload[at : at + size], kind, final=final))

    def close(self, code: int) -> None:
        """Close with a code; 1005 and 1006 break the connection, as they cannot be sent."""
        if self.closing:
            return
        if code in {1005, 1006}:
            self._transport.abort()
        else:
            with contextlib.suppress(ProtocolError, InvalidState):
                self._protocol.send_close(code, "" if code == 1000 else "simulated")
            self._flush()
            self._transport.close()
        self.end()

    def break_off(self, mode: str) -> None:
        """End the connection without a word."""
        Exchange.break_transport(self._transport, mode)
        self.end()

    def _take(self, message: Frame) -> None:
        if message.opcode is Opcode.BINARY:
            self.close(1003)
        if message.opcode not in {Opcode.TEXT, Opcode.CONT}:
            return
        self._parts.append(bytes(message.data))
        if not message.fin:
            return
        text = b"".join(self._parts)
        self._parts.clear()
        if len(self.texts) >= TEXTS_QUEUED_MAX:
            self.close(1008)
            return
        self.texts.append(text)
        if self.on_text is not None:
            self.on_text(text)
        self._arrived.set()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if not data or self._transport.is_closing():
                continue
            if self._knobs.ws_pong or not data.startswith(_PONG):
                self._transport.write(data)


def frame(payload: bytes, opcode: Opcode, *, final: bool = True) -> bytes:
    """One unmasked frame."""
    first = (0x80 if final else 0) | opcode
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 1 << 16:
        return bytes((first, 126)) + size.to_bytes(2, "big") + payload
    return bytes((first, 127)) + size.to_bytes(8, "big") + payload
