"""What the golden cases of the folder don't show of app.dialects.chat_upstream.chunks."""

import pytest
from msgspec import Raw

from app.dialects.chat_upstream.chunks import (
    ABSENT,
    Delta,
    arguments_of,
    calls_of,
    chunk_of,
    text_of,
)


@pytest.mark.parametrize("data", [b"", b"x", b"[]", b'"x"', b"[" * 5_000, b"\xff"])
def test_what_is_no_object_is_no_chunk(data):
    """Nothing raises."""
    assert chunk_of(data) is None


@pytest.mark.parametrize("raw", [b"", b"null", b'""', b"7", b'{"a":1}'])
def test_only_a_string_that_says_something_is_text(raw):
    """Null and nothing are what servers send between pieces."""
    assert text_of(Raw(raw)) == b""


def test_arguments_that_are_an_object_become_their_text():
    """Some servers do not encode them."""
    assert arguments_of(Raw(b'{"a":1}')) == b'"{\\"a\\":1}"'
    assert arguments_of(Raw(b'"{}"')) == b'"{}"'
    assert arguments_of(ABSENT) == b""


def test_a_call_of_old_counts_only_where_there_are_no_others():
    """Some servers say both."""
    both = Delta(
        tool_calls=Raw(b'[{"index":2,"function":{"name":"f"}},7]'),
        function_call=Raw(b'{"name":"g"}'),
    )
    assert [(piece.index, piece.function.name) for piece in calls_of(both)] == [(2, "f")]
