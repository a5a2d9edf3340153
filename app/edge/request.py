"""Reads a request: its headers in one pass, its body under a limit of bytes and of time.

The server in front parses HTTP but leaves some doors open that matter to whoever stands behind a
proxy: two Host headers, none at all, a transfer coding that hides another. They end here.
"""

import re
from secrets import token_hex
from typing import Final, cast

from litestar.types import HTTPReceiveMessage, HTTPScope, Receive
from msgspec import Struct

from app.errors import InvalidRequest, PayloadTooLarge, RequestTimeout
from app.relay.deadline import Deadline
from app.wire.encoding import decode_body

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_KEY_BYTES_MAX: Final = 512


class Head(Struct, frozen=True):
    """What the data plane reads of a request's head."""

    method: str
    request_id: str
    key: str | None
    """The caller's key as it was presented, whatever the header."""
    content_encoding: str
    content_length: int | None
    raw: list[tuple[bytes, bytes]]

    def find(self, name: bytes) -> str | None:
        """Return the first value of a header, given in lower case."""
        for known, value in self.raw:
            if known == name:
                return value.decode("latin-1")
        return None


def read_head(scope: HTTPScope) -> Head:
    """Return the head of a request.

    Raises:
        InvalidRequest: The head can be read in more than one way.
    """
    raw = list(scope["headers"])
    found: dict[bytes, bytes] = {}
    hosts = 0
    for name, value in raw:
        if name == b"host":
            hosts += 1
        elif name in _READ:
            found.setdefault(name, value)
    request_id = found.get(b"x-request-id", b"").decode("latin-1")
    if not _REQUEST_ID.fullmatch(request_id):
        request_id = "req_" + token_hex(12)
    if hosts != 1 and not (hosts == 0 and scope.get("http_version") == "1.0"):
        raise InvalidRequest("A request must have exactly one Host header.", param="host")
    coding = found.get(b"transfer-encoding", b"chunked").strip().lower()
    if coding != b"chunked":
        raise InvalidRequest("The only transfer coding is 'chunked'.", param="transfer-encoding")
    length = found.get(b"content-length")
    return Head(
        method=scope["method"],
        request_id=request_id,
        key=_key(found),
        content_encoding=found.get(b"content-encoding", b"").decode("latin-1"),
        content_length=int(length) if length is not None and length.isdigit() else None,
        raw=raw,
    )


async def read_body(head: Head, receive: Receive, *, bytes_max: int, timeout_s: float) -> bytes:
    """Return the whole body, decompressed. Nothing over the limit is ever held.

    Raises:
        PayloadTooLarge: It is over `bytes_max`, as announced, as sent or once decompressed.
        RequestTimeout: It did not come within `timeout_s` seconds.
        InvalidRequest: It broke off, or its encoding is unknown or corrupt.
    """
    if head.content_length is not None and head.content_length > bytes_max:
        raise _too_large(bytes_max)
    pieces: list[bytes] = []
    size = 0
    try:
        with Deadline(timeout_s):
            while True:
                message = cast("HTTPReceiveMessage", await receive())
                if message["type"] == "http.disconnect":
                    raise InvalidRequest("The request's body broke off.")
                piece = message.get("body", b"")
                size += len(piece)
                if size > bytes_max:
                    raise _too_large(bytes_max)
                pieces.append(piece)
                if not message.get("more_body", False):
                    break
    except TimeoutError:
        raise RequestTimeout(f"The request's body did not come within {timeout_s:.0f} s.") from None
    body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    if head.content_encoding:
        return decode_body(body, head.content_encoding, bytes_max=bytes_max)
    return body


def _key(found: dict[bytes, bytes]) -> str | None:
    """Return the key of `Authorization: Bearer` or of `x-api-key`."""
    authorization = found.get(b"authorization")
    if authorization is not None:
        scheme, _, key = authorization.partition(b" ")
        if scheme.lower() == b"bearer" and len(key) <= _KEY_BYTES_MAX:
            return key.strip().decode("latin-1")
    key = found.get(b"x-api-key", b"")
    return key.decode("latin-1") if 0 < len(key) <= _KEY_BYTES_MAX else None


def _too_large(bytes_max: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The request's body is over {bytes_max} bytes.")


_READ: Final = frozenset(
    {
        b"authorization",
        b"x-api-key",
        b"x-request-id",
        b"content-encoding",
        b"content-length",
        b"transfer-encoding",
    }
)
