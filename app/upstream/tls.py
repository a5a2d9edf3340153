"""TLS of one connection: bytes in, bytes out, no I/O.

The event loop has a TLS of its own, but it asks OpenSSL for more until an exception says that there
is none, for every event. Whoever counts the bytes knows that before. Everything that matters for
security (handshake, names, trust, ciphers) is OpenSSL's.
"""

import ssl
from typing import Final

RECORD_BYTES_MAX: Final = 16_384
"""What one record holds at most; OpenSSL hands out one at a time."""


class Tls:
    """One end of a TLS connection; `begin` it, then hand it all that comes and goes."""

    __slots__ = ("_incoming", "_object", "_outgoing", "broken", "over", "ready")

    def __init__(self, context: ssl.SSLContext, name: str) -> None:
        """Take the name that the other side's certificate must be for."""
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        self.ready = False
        """The other side has proved who it is; nothing may be sent before."""
        self.over = False
        """Nothing more will come."""
        self.broken: ssl.SSLError | None = None
        """What ended it, None if it was the other side's word."""

    def begin(self) -> None:
        """Begin the handshake; `owed` are its first bytes."""
        self._shake_hands()

    def owed(self) -> bytes:
        """Return what is to be sent now, each byte once; often nothing."""
        return self._outgoing.read() if self._outgoing.pending else b""

    def receive(self, data: bytes) -> bytes:
        """Return what is in `data` and what came before it, as far as it is whole.

        Look at `over` after that.
        """
        incoming = self._incoming
        incoming.write(data)
        found = b""
        try:
            if not self.ready and not self._shake_hands():
                return found
            read = self._object.read
            while piece := read(RECORD_BYTES_MAX):
                found = found + piece if found else piece
                if not incoming.pending:
                    return found
            self.over = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.over = True
        except ssl.SSLError as error:
            self.over, self.broken = True, error
        return found

    def send(self, data: bytes) -> bytes:
        """Return what carries `data` to the other side."""
        view = memoryview(data)
        while view:
            view = view[self._object.write(view) :]
        return self._outgoing.read()

    def _shake_hands(self) -> bool:
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        self.ready = True
        return True
