"""Tests of app.dialects.images.schema."""

import pytest

from app.dialects.images.schema import PROMPT_CHARS_MAX, Reference, decode, of_form
from app.errors import InvalidRequest


def test_a_request_is_read() -> None:
    """Fields that nobody knows yet pass."""
    request = decode(b'{"prompt":"a fjord","n":2,"size":"1024x1536","new":1,"stream":true}')
    assert (request.prompt, request.n, request.size, request.stream) == (
        "a fjord", 2, "1024x1536", True,
    )  # fmt: skip
    assert decode(b'{"prompt":"x","mask":{"image_url":"y"}}').mask == Reference("y")


@pytest.mark.parametrize(("body", "param"), [
    (b"{}", "prompt"), (b'{"prompt":""}', "prompt"), (b'{"prompt":5}', "prompt"),
    (b'{"prompt":"%b"}' % (b"x" * (PROMPT_CHARS_MAX + 1)), "prompt"),
    (b'{"prompt":"x","n":0}', "n"), (b'{"prompt":"x","n":11}', "n"),
    (b'{"prompt":"x","size":"huge"}', "size"), (b'{"prompt":"x","size":"0x5"}', "size"),
    (b'{"prompt":"x","quality":"best"}', "quality"),
    (b'{"prompt":"x","output_format":"bmp"}', "output_format"),
    (b'{"prompt":"x","partial_images":4}', "partial_images"),
    (b'{"prompt":"x","output_compression":101}', "output_compression"),
    (b'{"prompt":"x","images":[{"image_url":5}]}', "images[0].image_url"),
    (b"[]", None), (b"no", None), (b'{"prompt":"\xff"}', None), (b"", None),
])  # fmt: skip
def test_what_is_wrong_is_named(body, param) -> None:
    """By the path of its field."""
    with pytest.raises(InvalidRequest) as caught:
        decode(body)
    assert caught.value.param == param


def test_deep_nonsense_is_refused() -> None:
    """It is no defect of ours."""
    with pytest.raises(InvalidRequest):
        decode(b'{"prompt":"x","image":' + b"[" * 100_000)


def test_a_form_says_numbers_in_words() -> None:
    """They are read as what they are."""
    request = of_form({"prompt": "x", "n": "2", "stream": "true", "partial_images": "1"})
    assert (request.n, request.stream, request.partial_images) == (2, True, 1)


@pytest.mark.parametrize(("fields", "param"), [
    ({}, "prompt"), ({"prompt": "x", "n": "many"}, "n"), ({"prompt": "x", "stream": "y"}, "stream"),
    ({"prompt": "x", "size": "big"}, "size"),
])  # fmt: skip
def test_what_is_wrong_in_a_form_is_named(fields, param) -> None:
    """As in JSON."""
    with pytest.raises(InvalidRequest) as caught:
        of_form(fields)
    assert caught.value.param == param
