"""Tokens in chat's words."""

import msgspec
import pytest
from msgspec import Raw

from app.dialects.chat.usage import usage_of

ZEROS = {
    "prompt_tokens": 0,
    "completion_tokens": 0,
    "total_tokens": 0,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {
        "reasoning_tokens": 0,
        "audio_tokens": 0,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    },
}


def test_every_count_is_carried_over():
    """The names differ, the numbers don't."""
    raw = Raw(
        b'{"input_tokens":1200,"input_tokens_details":{"cached_tokens":1024},"output_tokens":42,'
        b'"output_tokens_details":{"reasoning_tokens":30},"total_tokens":1242}'
    )
    usage = msgspec.json.decode(usage_of(raw))
    assert usage["prompt_tokens"] == 1200
    assert usage["completion_tokens"] == 42
    assert usage["total_tokens"] == 1242
    assert usage["prompt_tokens_details"]["cached_tokens"] == 1024
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 30


@pytest.mark.parametrize(
    "raw",
    [b"", b"null", b"[]", b'{"input_tokens_details":null,"output_tokens_details":{}}'],
)
def test_what_is_missing_is_zero(raw):
    """Every field is there, whatever the upstream leaves out."""
    assert msgspec.json.decode(usage_of(Raw(raw))) == ZEROS


def test_a_missing_total_is_the_sum():
    """Relays leave it out."""
    usage = msgspec.json.decode(usage_of(Raw(b'{"input_tokens":3,"output_tokens":4}')))
    assert usage["total_tokens"] == 7
