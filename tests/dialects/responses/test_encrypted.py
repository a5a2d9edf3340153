"""Encrypted items: named without being kept, and left out without a trace."""

import msgspec
import pytest
from msgspec import Raw

from app.dialects.responses.encrypted import (
    FINGERPRINTS_MAX,
    fingerprint,
    of_event,
    of_input,
    without,
)


def item(content, **others) -> dict:
    """Return a reasoning item."""
    return {"type": "reasoning", "encrypted_content": content, **others}


def encode(value) -> Raw:
    """Return the value as raw JSON."""
    return Raw(msgspec.json.encode(value))


def test_an_event_and_the_next_request_name_an_item_alike():
    """That is how the request finds its way back."""
    event = msgspec.json.encode({"type": "response.output_item.done", "item": item("secret")})
    assert of_event(event) == fingerprint("secret")
    assert of_input(encode([item("secret")])) == (fingerprint("secret"),)
    assert "secret" not in fingerprint("secret")
    assert len(fingerprint("x" * 100_000)) == 32
    assert fingerprint("a") != fingerprint("b")


@pytest.mark.parametrize(
    "data",
    [
        b'{"item":{"type":"message"}}',
        b'{"item":{"encrypted_content":null}}',
        b'{"item":{"encrypted_content":""}}',
        b'{"item":{"encrypted_content":5}}',
        b'{"item":null,"x":"\\"encrypted_content\\""}',
        b'{"other":{"encrypted_content":"x"}}',
        b'{"encrypted_content',
        b'["encrypted_content"]',
        b'{"item":{"encrypted_content":"\xff"}}',
    ],
)
def test_an_event_without_one_names_nothing(data):
    """Whatever else it says."""
    assert of_event(data) is None


@pytest.mark.parametrize(
    "items", [b'"text"', b"[]", b"null", b"[", b"[1,null]", b'["\\"encrypted_content\\""]']
)
def test_an_input_without_one_names_nothing(items):
    """Whatever it is."""
    assert of_input(items) == ()


def test_items_are_named_the_latest_first_and_not_too_many():
    """Any of them leads to the account; one that can't be read hides none."""
    items = [item(str(n)) for n in range(40)]
    assert of_input(encode(items)) == tuple(
        fingerprint(str(n)) for n in range(39, 39 - FINGERPRINTS_MAX, -1)
    )
    mixed = [item("old"), item(5), "encrypted_content", {"type": 5, "encrypted_content": "new"}]
    assert of_input(encode(mixed)) == (fingerprint("new"), fingerprint("old"))


def test_encrypted_items_are_left_out_and_the_rest_is_not_touched():
    """Byte for byte, in its order."""
    body = (
        b'{"model":"m", "input":[{"a" : 1.0},{"encrypted_content":"x"},'
        b'{"text":"\\"encrypted_content\\""},{"encrypted_content":""}], "n":1e2}'
    )
    assert without(body) == (
        b'{"model":"m","input":[{"a" : 1.0},{"text":"\\"encrypted_content\\""},'
        b'{"encrypted_content":""}],"n":1e2}'
    )


@pytest.mark.parametrize(
    "body", [b'{"input":"text"}', b'{"model":"m"}', b'{"input":[{"text":"x"}]}', b'{"input":[]}']
)
def test_a_request_without_them_is_returned_as_it_is(body):
    """The very same object: whoever asks knows that nothing was left out."""
    assert without(body) is body
