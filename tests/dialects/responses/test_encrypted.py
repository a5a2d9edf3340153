"""Encrypted items: named without being kept, and left out without a trace."""

import msgspec
import pytest
from msgspec import Raw

from app.dialects.responses.encrypted import (
    SEALED_MAX,
    Sealed,
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


def names(items) -> list[str]:
    """Return the fingerprints of an input's items."""
    return [sealed.fingerprint for sealed in of_input(items)]


@pytest.mark.parametrize("content", ["secret", "secret" * 1_000])
def test_an_event_and_the_next_request_name_an_item_alike(content):
    """That is how the request finds its way back."""
    event = msgspec.json.encode({"type": "response.output_item.done", "item": item(content)})
    assert of_event(event) == fingerprint(content)
    assert of_input(encode([item(content)])) == (Sealed(fingerprint(content)),)
    assert "secret" not in fingerprint(content)
    assert len(fingerprint(content)) == 32


def test_long_contents_have_names_of_their_own():
    """Where they begin, where they end, and how long they are makes them differ."""
    long = "a" * 5_000
    others = ["a" * 4_999, "b" + long[1:], long[:-1] + "b", "a" * 256, "a" * 257]
    assert len({fingerprint(content) for content in [long, *others]}) == 6


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
    "items",
    [b'"text"', b"[]", b"null", b"[", b"[1,null]", b'["\\"encrypted_content\\""]', b'["\xff"]'],
)
def test_an_input_without_one_names_nothing(items):
    """Whatever it is."""
    assert of_input(items) == ()


def test_items_are_named_the_latest_first_and_not_too_many():
    """The latest leads to the account that is asked first; one that can't be read hides none."""
    items = [item(str(n)) for n in range(SEALED_MAX + 40)]
    assert names(encode(items)) == [fingerprint(str(n)) for n in range(SEALED_MAX + 39, 39, -1)]
    mixed = [item("old"), item(5), "encrypted_content", {"type": None, "encrypted_content": "new"}]
    assert names(encode(mixed)) == [fingerprint("new"), fingerprint("old")]


@pytest.mark.parametrize("kind", ["compaction", "compaction_summary", "context_compaction"])
@pytest.mark.parametrize("beside", [[], [5]], ids=["alone", "beside nonsense"])
def test_a_compaction_binds_its_request(kind, beside):
    """Reasoning does not."""
    items = encode([*beside, item("old"), item("all of it", type=kind), item("new")])
    bound = [(sealed.fingerprint, sealed.bound) for sealed in of_input(items)]
    assert bound == [
        (fingerprint("new"), False),
        (fingerprint("all of it"), True),
        (fingerprint("old"), False),
    ]


def test_encrypted_items_are_left_out_and_the_rest_is_not_touched():
    """Byte for byte, in its order; a compaction stays."""
    body = (
        b'{"model":"m", "input":[{"a" : 1.0},{"encrypted_content":"x"},'
        b'{"text":"\\"encrypted_content\\""},{"encrypted_content":""},'
        b'{"type":"compaction", "encrypted_content":"z"}], "n":1e2}'
    )
    assert without(body) == (
        b'{"model":"m","input":[{"a" : 1.0},{"text":"\\"encrypted_content\\""},'
        b'{"encrypted_content":""},{"type":"compaction", "encrypted_content":"z"}],"n":1e2}'
    )


def test_only_the_named_ones_are_left_out():
    """Those of another account."""
    ours, theirs = item("ours"), item("theirs")
    body = msgspec.json.encode({"input": [theirs, ours, {"x": 1}, theirs]})
    assert without(body, {fingerprint("theirs")}) == msgspec.json.encode(
        {"input": [ours, {"x": 1}]}
    )
    assert without(body, {fingerprint("somebody's")}) is body
    assert without(body, ()) is body
    bound = msgspec.json.encode({"input": [item("ours", type="compaction")]})
    assert without(bound, {fingerprint("ours")}) is bound


@pytest.mark.parametrize(
    "body",
    [
        b'{"input":"text"}',
        b'{"model":"m"}',
        b'{"input":[{"text":"x"}]}',
        b'{"input":[]}',
        b'{"input":[{"encrypted_content":5}]}',
    ],
)
def test_a_request_without_them_is_returned_as_it_is(body):
    """The very same object: whoever asks knows that nothing was left out."""
    assert without(body) is body
