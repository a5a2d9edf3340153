"""Reads a request: its headers in one pass, its body under a limit of bytes and of time.

The server in front parses HTTP but leaves some doors open that matter to whoever stands behind a
proxy: two Host headers, none at all, a transfer coding that hides another, a length beside it.
They are noted as the head's `flaw`, to be raised once the answer has its request id.
"""

import re
from collections.abc import Callable, Iterable
from secrets import token_hex
from typing import Final, cast

from litestar.types import HTTPReceiveMessage, HTTPScope, Receive
from msgspec import Struct

from app.errors import InvalidRequest, PayloadTooLarge, RequestTimeout
from app.relay.deadline import Deadline
from app.wire.encoding import decode_body

_NO_HOST: Final = re.compile(rb"[\s/\\?#]")
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
KEY_BYTES_MAX: Final = 512
"""As much of a key as is looked at: twice the longest that can be right."""
_OLD: Final = ("1", "1.0")
_LENGTH_DIGITS_MAX: Final = 18
_SOON_BYTES: Final = 65_536
"""The server itself takes in the rest of a body that is no longer than this."""


class Head(Struct, frozen=True):
    """What the data plane reads of a request's head."""

    method: str
    request_id: str
    key: str | None
    """The caller's key as it was presented, whatever the header."""
    content_encoding: str
    content_length: int | None
    chunked: bool
    raw: list[tuple[bytes, bytes]]
    flaw: InvalidRequest | None = None
    """Why the head can be read in more than one way; nothing else of it counts then."""

    def find(self, name: bytes) -> str | None:
        """Return the first value of a header, given in lower case."""
        for known, value in self.raw:
            if known == name:
                return value.decode("latin-1")
        return None


def read_head(scope: HTTPScope) -> Head:
    """Return the head of a request; look at its `flaw` before anything else."""
    raw = list(scope["headers"])
    found: dict[bytes, bytes] = {}
    twice: bytes | None = None
    for name, value in raw:
        if name in _ONCE:
            if name in found:
                twice = name
            found[name] = value
        elif name == b"x-request-id":
            found.setdefault(name, value)
    length = found.get(b"content-length")
    known = length is not None and length.isdigit() and len(length) <= _LENGTH_DIGITS_MAX
    return Head(
        method=scope["method"],
        request_id=_sane(found.get(b"x-request-id", b"")),
        key=_key(found),
        content_encoding=found.get(b"content-encoding", b"").decode("latin-1"),
        content_length=int(length) if length is not None and known else None,
        chunked=b"transfer-encoding" in found,
        raw=raw,
        flaw=_flaw(found, twice, scope.get("http_version", "1.1")),
    )


def request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Return the id of a request: the caller's own if it is sane, else a new one."""
    for name, value in headers:
        if name == b"x-request-id":
            return _sane(value)
    return _sane(b"")


class Upload:
    """The body of one request, on its way in."""

    __slots__ = ("_begun", "_head", "_over", "_receive")

    def __init__(self, head: Head, receive: Receive) -> None:
        self._head = head
        self._receive = receive
        self._begun = False
        self._over = False

    async def read(self, *, bytes_max: int, timeout_s: float, hold: Callable[[int], None]) -> bytes:
        """Return the whole body, decompressed. Nothing over the limit is ever held.

        `hold` is told of all bytes that come to be held; what it raises ends the reading.

        Raises:
            PayloadTooLarge: It is over `bytes_max`, as announced, as sent or once decompressed.
            RequestTimeout: It did not come within `timeout_s` seconds.
            InvalidRequest: It broke off, or its encoding is unknown or corrupt.
        """
        head = self._head
        if head.content_length is not None and head.content_length > bytes_max:
            raise _too_large(bytes_max)
        pieces: list[bytes] = []
        size = 0
        try:
            with Deadline(timeout_s):
                while not self._over:
                    piece = await self._next()
                    size += len(piece)
                    if size > bytes_max:
                        # The error's traceback would keep them until the answer is out.
                        pieces.clear()
                        raise _too_large(bytes_max)
                    hold(len(piece))
                    pieces.append(piece)
        except TimeoutError:
            raise RequestTimeout(
                f"The request's body did not come within {timeout_s:.0f} s."
            ) from None
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if head.content_encoding:
            body = decode_body(body, head.content_encoding, bytes_max=bytes_max)
            hold(max(0, len(body) - size))
        return body

    @property
    def owed(self) -> bool:
        """True while the caller may be busy sending a long body that nobody wants any more.

        A connection that is closed on such a caller is reset, and the answer is lost with it.
        """
        head = self._head
        if self._over or head.flaw is not None:
            return False
        if not self._begun and head.find(b"expect") is not None:
            return False
        return head.chunked or (head.content_length or 0) > _SOON_BYTES

    async def discard(self, *, bytes_max: int, timeout_s: float) -> None:
        """Take in what is still sent and forget it, so that the caller gets to read its answer."""
        size = 0
        try:
            with Deadline(timeout_s):
                while not self._over and size <= bytes_max:
                    size += len(await self._next())
        except (TimeoutError, InvalidRequest):
            self._over = True

    async def _next(self) -> bytes:
        self._begun = True
        message = cast("HTTPReceiveMessage", await self._receive())
        if message["type"] == "http.disconnect":
            self._over = True
            raise InvalidRequest("The request's body broke off.")
        self._over = not message.get("more_body", False)
        return message.get("body", b"")


def _sane(value: bytes) -> str:
    text = value.decode("latin-1")
    return text if _REQUEST_ID.fullmatch(text) else "req_" + token_hex(12)


def _flaw(found: dict[bytes, bytes], twice: bytes | None, version: str) -> InvalidRequest | None:
    if twice is not None:
        name = twice.decode("ascii")
        return InvalidRequest(f"The header '{name}' stands twice in the request.", param=name)
    # The server stands an empty Host in for one that is missing.
    host = found.get(b"host")
    if _NO_HOST.search(host) if host else version not in _OLD:
        text = "A request must have a Host header: a name or an address, and a port if need be."
        return InvalidRequest(text, param="host")
    coding = found.get(b"transfer-encoding")
    if coding is None:
        return None
    if coding.strip().lower() != b"chunked":
        return InvalidRequest("The only transfer coding is 'chunked'.", param="transfer-encoding")
    if b"content-length" in found:
        return InvalidRequest(
            "A request has a Content-Length or a Transfer-Encoding, never both.",
            param="transfer-encoding",
        )
    return None


def _key(found: dict[bytes, bytes]) -> str | None:
    """Return the key of `Authorization: Bearer` or of `x-api-key`."""
    authorization = found.get(b"authorization")
    if authorization is not None:
        scheme, _, key = authorization.partition(b" ")
        if scheme.lower() == b"bearer":
            return key.strip()[:KEY_BYTES_MAX].decode("latin-1")
    key = found.get(b"x-api-key", b"")
    return key[:KEY_BYTES_MAX].decode("latin-1") or None


def _too_large(bytes_max: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The request's body is over {bytes_max} bytes.")


_ONCE: Final = frozenset(
    {
        b"authorization",
        b"content-encoding",
        b"content-length",
        b"host",
        b"transfer-encoding",
        b"x-api-key",
    }
)
"""Headers that decide something: standing twice, they could be read in two ways."""
