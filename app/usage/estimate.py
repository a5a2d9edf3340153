"""What a call may take before it has begun, and took if the upstream did not say. Pure.

Four bytes are a token, which is near enough for English and for code; images are counted by their
number, since their bytes say nothing. Tokens that a model only thinks are not seen in a stream and
are missing from an estimate. A figure from here is always marked as one.
"""

from typing import Final

from app.domain.usage import Heard, Usage

TOKEN_BYTES: Final = 4
IMAGE_TOKENS: Final = 1_000
"""A picture of a usual size; real ones count from under a hundred to some thousands."""
OUTPUT_TOKENS: Final = 4_096
"""Set aside for an answer of which nobody has said how long it may become."""
OUTPUT_TOKENS_MAX: Final = 128_000
"""No model writes more in one reply, whatever is asked for."""
SEARCHED_BYTES_MIN: Final = 32_768
"""A shorter body can't hold so much of an image that it matters."""

_ENCODED: Final = b";base64,"


def input_tokens(body: bytes) -> int:
    """Return about how many tokens a request's body is."""
    size, images = len(body), 0
    if size >= SEARCHED_BYTES_MIN:
        start = body.find(_ENCODED)
        while start >= 0:
            end = body.find(b'"', start)
            size -= (end if end >= 0 else len(body)) - start
            images += 1
            start = body.find(_ENCODED, end) if end >= 0 else -1
    return size // TOKEN_BYTES + images * IMAGE_TOKENS


def output_tokens(heard: Heard) -> int:
    """Return about how many tokens have come, at least one if anything has."""
    if heard.text_bytes:
        return max(1, heard.text_bytes // TOKEN_BYTES)
    return heard.deltas


def taken(asked_tokens: int, heard: Heard) -> Usage:
    """Return what an attempt has probably taken whose body was of `asked_tokens`."""
    return Usage(input=asked_tokens, output=output_tokens(heard))


def reserved(asked_tokens: int, output_tokens_max: int | None) -> Usage:
    """Return what a call may take; `output_tokens_max` is what its caller has allowed it."""
    wanted = OUTPUT_TOKENS if output_tokens_max is None else output_tokens_max
    return Usage(input=asked_tokens, output=min(wanted, OUTPUT_TOKENS_MAX))
