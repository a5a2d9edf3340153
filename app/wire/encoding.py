"""A request's body without its content codings.

What comes out is bounded while it is made: a few bytes can stand for gigabytes, so input is fed
in small slices and the count is kept as it goes. Several codings may be stacked, and a coding
may hold several frames; both numbers are bounded. What the bytes mean is for others.
"""

import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Protocol

import zstandard

from app.errors import InvalidRequest, PayloadTooLarge

CODINGS_MAX: Final = 3
FRAMES_MAX: Final = 1024

# A slice this small makes at most 32 MiB: a zstd block of 128 KiB takes four bytes or more.
_SLICE_BYTES: Final = 1024
# RFC 9659: over HTTP a zstd window is at most 8 MiB.
_WINDOW_BYTES_MAX: Final = 8 * 1024 * 1024
_GZIP: Final = 16 + zlib.MAX_WBITS
_HEADER: Final = "content-encoding"


class _Frame(Protocol):
    """One frame's decoder, as zlib and zstandard both have it."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


def decode_body(body: bytes, content_encoding: str, *, bytes_max: int) -> bytes:
    """Return `body` as it was before the codings that `content_encoding` names.

    Raises:
        InvalidRequest: A coding is unknown (status 415), there are too many, or the body is not
            what they say.
        PayloadTooLarge: What comes out of one of them is over `bytes_max`.
    """
    names = [name.strip().lower() for name in content_encoding.split(",")]
    codings = [name for name in names if name not in ("", "identity")]
    if len(codings) > CODINGS_MAX:
        raise InvalidRequest(
            f"The body has {len(codings)} content codings; at most {CODINGS_MAX} are read.",
            param=_HEADER,
        )
    for name in codings:
        if name not in _CODINGS:
            raise InvalidRequest(
                f"The content coding '{name[:32]}' is unknown; zstd, gzip, deflate and identity"
                " are read.",
                status=415,
                param=_HEADER,
            )
    for name in reversed(codings):
        body = _decoded(body, name, bytes_max=bytes_max)
    if len(body) > bytes_max:
        raise PayloadTooLarge(f"The request body is over {bytes_max} bytes.")
    return body


def _decoded(body: bytes, name: str, *, bytes_max: int) -> bytes:
    pieces = []
    size = 0
    try:
        for piece in _pieces(body, _CODINGS[name]):
            size += len(piece)
            if size > bytes_max:
                raise PayloadTooLarge(
                    f"The request body is over {bytes_max} bytes once decompressed."
                )
            pieces.append(piece)
    except (zlib.error, zstandard.ZstdError) as error:
        raise InvalidRequest(f"The request body is not valid {name}.", param=_HEADER) from error
    except EOFError:
        raise InvalidRequest(f"The request body's {name} is cut short.", param=_HEADER) from None
    return b"".join(pieces)


def _pieces(body: bytes, begin: Callable[[bytes], _Frame]) -> Iterator[bytes]:
    frame = begin(body)
    frames = 1
    for start in range(0, len(body), _SLICE_BYTES):
        data = body[start : start + _SLICE_BYTES]
        while data:
            if frame.eof:
                frames += 1
                if frames > FRAMES_MAX:
                    raise InvalidRequest(
                        f"The compressed body has more than {FRAMES_MAX} frames.", param=_HEADER
                    )
                frame = begin(data)
            yield frame.decompress(data)
            data = frame.unused_data
    if not frame.eof:
        raise EOFError


def _zstd(_: bytes) -> _Frame:
    return zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES_MAX).decompressobj()


def _gzip(_: bytes) -> _Frame:
    return zlib.decompressobj(_GZIP)


def _deflate(data: bytes) -> _Frame:
    """Return the decoder for zlib's format, which "deflate" means, or for the bare one, as sent.

    A zlib stream begins with the method 8 and two bytes that 31 divides (RFC 1950, 2.2).
    """
    wrapped = len(data) >= 2 and data[0] & 15 == 8 and (data[0] << 8 | data[1]) % 31 == 0
    return zlib.decompressobj(zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)


_CODINGS: Final[Mapping[str, Callable[[bytes], _Frame]]] = {
    "deflate": _deflate,
    "gzip": _gzip,
    "x-gzip": _gzip,
    "zstd": _zstd,
}
