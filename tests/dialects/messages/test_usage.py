"""Tokens are counted in Anthropic's words."""

import msgspec
import pytest
from msgspec import Raw

from app.dialects.messages.usage import usage_of


def usage(**fields):
    """Return a usage object of an upstream."""
    return Raw(msgspec.json.encode(fields))


def test_the_parts_of_the_prompt_add_up():
    """What a cache had, or got, is not among the input tokens."""
    details = {"cached_tokens": 60, "cache_write_tokens": 10}
    said = usage_of(usage(input_tokens=100, output_tokens=5, input_tokens_details=details))
    assert said == {
        "input_tokens": 30,
        "cache_creation_input_tokens": 10,
        "cache_read_input_tokens": 60,
        "output_tokens": 5,
    }


@pytest.mark.parametrize("raw", [Raw(b""), Raw(b"null"), Raw(b"3"), usage(input_tokens=-3)])
def test_what_is_not_counted_is_zero(raw):
    """The fields are there all the same."""
    assert set(usage_of(raw).values()) == {0}


def test_thoughts_and_searches_are_counted_if_there_are_any():
    """Each in its own place."""
    said = usage_of(
        usage(output_tokens=5, output_tokens_details={"reasoning_tokens": 3}), searches=2
    )
    assert said["output_tokens_details"] == {"thinking_tokens": 3}
    assert said["server_tool_use"] == {"web_search_requests": 2, "web_fetch_requests": 0}
