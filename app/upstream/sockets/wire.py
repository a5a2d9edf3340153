"""Connections of the `websockets` library, which does handshakes, TLS, proxies and framing.

A connection pushes: each message goes to the listener from within the callback that received it, so
no task stands between the two; whole messages don't even go through the library (see `framing`).
Limits are explicit: whole messages of at most 16 MiB, no compression, no heartbeat of the library's
own, no redirects, nothing from the environment.
"""

import asyncio
import logging
import ssl
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from python_socks import ProxyError
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.frames import Frame, Opcode
from websockets.protocol import State

from app.domain.account import Secret
from app.upstream.sockets.connection import Connection, Listener, Rejected, Target, Unreachable
from app.upstream.sockets.framing import Framing

CONNECT_TIMEOUT_S: Final = 10.0
"""DNS, TCP, proxy, TLS and the handshake together."""
MESSAGE_BYTES_MAX: Final = 16 << 20
WRITE_BYTES_MAX: Final = 64 << 10
CLOSE_WAIT_S: Final = 1.0
PINGS_UNHEARD_MAX: Final = 1_000
"""Pings of a peer that does not read our answers to them, which would pile up here."""
REFUSAL_BYTES_MAX: Final = 65_536
PROXY_SCHEMES: Final = ("http://", "https://", "socks5://", "socks5h://")

# What the library logs when it is asked for details holds headers, and so credentials.
_LOGGER: Final = logging.getLogger("codex2api.websockets")
_LOGGER.setLevel(logging.ERROR)
_HEAD_END: Final = b"\r\n\r\n"
_INVALID_DATA: Final = 1007
_UNSUPPORTED: Final = 1003


class Wire(ClientConnection):
    """One connection; satisfies `app.upstream.sockets.connection.Connection`."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._listener: Listener | None = None
        self._framing: Framing | None = None
        """None as long as the library reads everything: during the handshake, and for good if
        something came along with the end of it, which upstreams don't do."""
        self._early: list[bytes] = []
        self._parts: list[bytes] = []
        self._over = False
        self._pings_unheard = 0
        self._reading = True
        self.headers: Sequence[tuple[str, str]] = ()

    def listen(self, listener: Listener) -> None:
        """Hand on what has come since the handshake, and what comes."""
        self._listener = listener
        response = self.response
        if response is not None:
            self.headers = [(name.lower(), value) for name, value in response.headers.raw_items()]
        early, self._early = self._early, []
        for data in early:
            listener.message(data)
        if self._over:
            self._tell_end()

    async def send(self, data: bytes) -> None:  # type: ignore[override]  # text in one frame only
        """Send a text message; returns when the other side takes it in."""
        if self.protocol.state is not State.OPEN:
            raise ConnectionError("the socket is closed")
        self.protocol.send_text(data)
        self.send_data()
        await self.drain()

    def ping(self) -> None:  # type: ignore[override]  # its answer is not waited for
        """Send a ping, unless the other side has stopped reading: then it is silent anyway."""
        if self.protocol.state is State.OPEN and not self.paused:
            self.protocol.send_ping(b"")
            self.send_data()

    def pause(self) -> None:
        """Read no more for now."""
        if self._reading and not self.transport.is_closing():
            self._reading = False
            self.transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if not self._reading and not self.transport.is_closing():
            self._reading = True
            self.transport.resume_reading()

    async def close(self) -> None:  # type: ignore[override]  # always for the same reason
        """End it properly, within a second or so."""
        if self.protocol.state is State.OPEN:
            self.protocol.send_close(1000, "")
            self.send_data()
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_WAIT_S):
                    await asyncio.shield(self.connection_lost_waiter)
        self.abort()

    def abort(self) -> None:
        """End it now."""
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take in what came. Called by the loop."""
        if self._framing is None:
            self._read(data)
            if self.response is not None and self._between_frames and data.endswith(_HEAD_END):
                self._framing = Framing()
            return
        for piece in self._framing.cut(data):
            if self._over:
                return
            if piece.message:
                self._whole(piece.data)
            else:
                self._read(piece.data)

    @property
    def _between_frames(self) -> bool:
        return self.protocol.state is State.OPEN and not self.protocol.reader.buffer

    def _read(self, data: bytes) -> None:
        """Let the library read it."""
        super().data_received(data)
        if self.protocol.state is State.CLOSING:
            self._end()

    def process_event(self, event: Any) -> None:
        """Take in a frame. Called by the library."""
        if self.response is None:
            super().process_event(event)
            return
        opcode = event.opcode
        if opcode is Opcode.TEXT and event.fin:
            self._whole(bytes(event.data))
        elif opcode is Opcode.TEXT or opcode is Opcode.CONT:
            self._part(event)
        elif opcode is Opcode.PONG:
            if self._listener is not None:
                self._listener.pong()
        elif opcode is Opcode.PING:
            self._pings_unheard = self._pings_unheard + 1 if self.paused else 0
            if self._pings_unheard > PINGS_UNHEARD_MAX:
                self.transport.abort()
        elif opcode is Opcode.BINARY:
            self._fail(_UNSUPPORTED)

    def connection_lost(self, exc: Exception | None) -> None:
        """Take in the end. Called by the loop."""
        super().connection_lost(exc)
        self._over = True
        self._tell_end()

    def _part(self, frame: Frame) -> None:
        self._parts.append(bytes(frame.data))
        if frame.fin:
            parts, self._parts = self._parts, []
            self._whole(b"".join(parts))

    def _whole(self, data: bytes) -> None:
        if self._over:
            return
        if not data.isascii():
            try:
                data.decode()
            except UnicodeDecodeError:
                self._fail(_INVALID_DATA)
                return
        if self._listener is None:
            self._early.append(data)
        else:
            self._listener.message(data)

    def _fail(self, code: int) -> None:
        """End it because of what the other side has sent."""
        if self.protocol.state is State.OPEN:
            self.protocol.fail(code)
            self.send_data()
        self._end()

    def _end(self) -> None:
        """Both sides have said that it ends, or one of them broke the rules."""
        self._over = True
        self.transport.close()
        self._tell_end()

    def _tell_end(self) -> None:
        listener, self._listener = self._listener, None
        if listener is None:
            return
        said, ours = self.protocol.close_rcvd, self.protocol.close_sent
        if said is not None:
            listener.lost(said.code, "")
        else:
            listener.lost(1006, f"we closed with {ours.code}" if ours is not None else "")


class _Connect(connect):
    """Follows no redirect: credentials go where they were meant to go."""

    def process_redirect(self, exc: Exception) -> Exception:
        return exc


class Dialler:
    """Opens connections; see `app.upstream.sockets.connection.Dial`."""

    def __init__(self, *, proxy_url: Secret | None, tls: ssl.SSLContext) -> None:
        """Take the route of those who have none of their own, and whom to trust."""
        self._proxy_url = proxy_url
        self._tls = tls

    def reaches(self, proxy_url: Secret | None) -> bool:
        """Tell whether connections can take this way."""
        proxy = self._proxy(proxy_url)
        return proxy is None or proxy.lower().startswith(PROXY_SCHEMES)

    async def dial(self, target: Target) -> Connection:
        """Open a connection; cancelling closes it."""
        proxy = self._proxy(target.proxy_url)
        options: dict[str, Any] = {}
        if target.url.startswith("wss://"):
            options["ssl"] = self._tls
        if target.pin is not None and proxy is None:
            options |= {"host": target.pin.address, "port": target.pin.port}
        if proxy is not None and proxy.lower().startswith("https://"):
            options["proxy_ssl"] = self._tls
        try:
            connection = await _Connect(
                target.url,
                create_connection=Wire,
                additional_headers=target.headers,
                user_agent_header=None,
                compression=None,
                proxy=proxy,
                open_timeout=CONNECT_TIMEOUT_S,
                ping_interval=None,
                max_size=MESSAGE_BYTES_MAX,
                write_limit=WRITE_BYTES_MAX,
                logger=_LOGGER,
                **options,
            )
        except InvalidStatus as error:
            raise _rejected(error) from None
        except (WebSocketException, ProxyError, OSError, ValueError) as error:
            # Their words may quote the proxy's address, which holds its password.
            raise Unreachable(type(error).__name__) from None
        assert isinstance(connection, Wire)  # noqa: S101 - it was asked for
        return connection

    def _proxy(self, proxy_url: Secret | None) -> str | None:
        chosen = proxy_url or self._proxy_url
        return chosen.reveal() if chosen else None


def _rejected(error: InvalidStatus) -> Rejected:
    response = error.response
    headers = [(name.lower(), value) for name, value in response.headers.raw_items()]
    return Rejected(response.status_code, headers, bytes(response.body[:REFUSAL_BYTES_MAX]))
