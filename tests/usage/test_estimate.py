"""Tests of app.usage.estimate."""

import pytest

from app.domain.usage import Heard, Usage
from app.usage.estimate import (
    IMAGE_TOKENS,
    OUTPUT_TOKENS,
    OUTPUT_TOKENS_MAX,
    SEARCHED_BYTES_MIN,
    input_tokens,
    output_tokens,
    reserved,
    taken,
)

TEXT = b"word " * (SEARCHED_BYTES_MIN // 5 + 1)
IMAGE = b'"data:image/png;base64,' + b"A" * 400_000 + b'"'


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        (b"", 0),
        (b"abc", 0),
        (b"x" * 4_000, 1_000),
        (TEXT, len(TEXT) // 4),
        # Short ones are not searched.
        (b'{"image":"data:;base64,AAAA"}', 7),
        (TEXT + IMAGE, (len(TEXT) + 17) // 4 + IMAGE_TOKENS),
        (TEXT + IMAGE + TEXT + IMAGE, (2 * len(TEXT) + 33) // 4 + 2 * IMAGE_TOKENS),
        # A body that breaks off in an image.
        (TEXT + IMAGE[:-1], (len(TEXT) + 15) // 4 + IMAGE_TOKENS),
    ],
)
def test_four_bytes_are_a_token(body, tokens):
    """But those of an image say nothing of what it counts."""
    assert input_tokens(body) == pytest.approx(tokens, abs=2)


@pytest.mark.parametrize(
    ("heard", "tokens"),
    [
        (Heard(), 0),
        (Heard(deltas=3), 3),
        (Heard(deltas=1, text_bytes=2), 1),
        (Heard(deltas=9, text_bytes=400), 100),
    ],
)
def test_what_came_is_at_least_one_token(heard, tokens):
    """Where no text was found in the events they count themselves; nothing came is none."""
    assert output_tokens(heard) == tokens
    assert taken(70, heard) == Usage(input=70, output=tokens)


@pytest.mark.parametrize(
    ("asked", "output"),
    [(None, OUTPUT_TOKENS), (16, 16), (9_000, 9_000), (10**12, OUTPUT_TOKENS_MAX)],
)
def test_what_a_call_may_take_is_what_it_was_allowed(asked, output):
    """Or the usual, and never more than any model writes."""
    assert reserved(50, asked) == Usage(input=50, output=output)
