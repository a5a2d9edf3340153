"""Tests of app.dialects.embeddings."""

import msgspec
import pytest

from app.dialects.embeddings import INPUTS_MAX, decode, usage_of
from app.domain.usage import Usage
from app.errors import InvalidRequest


@pytest.mark.parametrize("given", ["a", ["a", "b"], [1, 2], [[1], [2]], [1] * (INPUTS_MAX + 1)])
def test_texts_and_tokens_may_be_embedded(given):
    """Alone or several."""
    body = msgspec.json.encode({"model": "m", "input": given, "encoding_format": "base64"})
    assert decode(body).input == given


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "input"),
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": {}}, "input"),
        ({"input": [None]}, "input"),
        ({"input": ["x"] * (INPUTS_MAX + 1)}, "input"),
        ({"input": "x", "dimensions": 0}, "dimensions"),
        ({"input": "x", "encoding_format": "hex"}, "encoding_format"),
    ],
)
def test_a_wrong_field_is_named(fields, param):
    """Before any account is touched."""
    with pytest.raises(InvalidRequest) as caught:
        decode(msgspec.json.encode({"model": "m", **fields}))
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("body", "usage"),
    [
        (b'{"usage":{"prompt_tokens":7,"total_tokens":7}}', Usage(input=7)),
        (b'{"usage":{"prompt_tokens":-7}}', Usage()),
        (b'{"usage":{}}', None),
        (b'{"usage":null}', None),
        (b"{}", None),
        (b"no json", None),
        (b"\xff", None),
    ],
)
def test_usage_is_what_the_answer_counts(body, usage):
    """None where it does not."""
    assert usage_of(body) == usage
