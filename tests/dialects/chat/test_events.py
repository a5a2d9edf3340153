"""Projections of the upstream's events."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from app.dialects.chat.events import Event, Item, arguments_of, event_of, read, string_of


def test_a_delta_stays_raw():
    """Escapes are not touched, so nothing is decoded and encoded again."""
    event = event_of(
        b'{"type":"t","delta":"a\\n\\u00e9","output_index":3,"content_index":1,"item_id":"m"}'
    )
    assert bytes(event.delta) == b'"a\\n\\u00e9"'
    assert (event.type, event.output_index, event.content_index, event.item_id) == ("t", 3, 1, "m")


def test_a_field_of_the_wrong_type_is_as_if_it_were_not_there():
    """The rest of the event is understood."""
    event = event_of(
        b'{"type":"t","delta":"x","output_index":"3","content_index":null,"summary_index":2,'
        b'"item_id":7}'
    )
    assert event == Event(type="t", delta=Raw(b'"x"'), summary_index=2)


@pytest.mark.parametrize(
    "data",
    [b"", b"[DONE]", b"[]", b"7", b"\xff", b'{"type":5}', b"[" * 100_000, b'{"a":' * 100_000],
)
def test_garbage_is_an_event_of_no_type(data):
    """No bytes raise."""
    assert event_of(data) == Event()


@given(st.binary())
def test_no_bytes_raise(data):
    """Neither reading raises."""
    event_of(data)
    read(data, Item)


def test_a_string_is_kept_and_anything_else_is_not():
    """The empty string says nothing, so it counts as absent."""
    assert string_of(Raw(b'"x"')) == b'"x"'
    for other in (b"", b'""', b"null", b"7", b"{}"):
        assert string_of(Raw(other)) == b""


def test_arguments_that_are_an_object_become_a_string():
    """Chat has them as JSON in a string."""
    assert arguments_of(Raw(b'{"a": "\xc3\xa9"}')) == '"{\\"a\\": \\"é\\"}"'.encode()
    assert arguments_of(Raw(b'"{}"')) == b'"{}"'
    assert arguments_of(Raw(b"null")) == b""
