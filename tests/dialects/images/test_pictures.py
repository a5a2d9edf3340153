"""Tests of app.dialects.images.pictures."""

import pytest

from app.dialects.images.pictures import address, data_url
from app.errors import InvalidRequest


@pytest.mark.parametrize(("data", "kind"), [
    (b"\x89PNG\r\n\x1a\nx", "png"), (b"\xff\xd8\xffx", "jpeg"), (b"RIFF1234WEBPx", "webp"),
    (b"GIF89ax", "gif"), (b"GIF87ax", "gif"),
])  # fmt: skip
def test_an_image_is_known_by_how_it_begins(data, kind) -> None:
    """Whatever its file is called."""
    assert data_url(data, "image").startswith(f"data:image/{kind};base64,")


@pytest.mark.parametrize("data", [b"", b"%PDF", b"RIFF1234WAVE", b"\x89PNG"])
def test_what_is_no_image_is_named(data) -> None:
    """Before an account is touched."""
    with pytest.raises(InvalidRequest) as caught:
        data_url(data, "image[1]")
    assert caught.value.param == "image[1]"


@pytest.mark.parametrize("url", ["data:image/png;base64,AAAA", "https://a.example/x.png"])
def test_an_address_is_taken_as_it_is(url) -> None:
    """The upstream fetches it, or finds the image in it."""
    assert address(url, "image") == url


@pytest.mark.parametrize("url", [
    "", "x.png", "file:///etc/passwd", "ftp://a/x", "data:image/png;base64,", "data:image/png,x",
    "data:text/plain;base64,AAAA", "https://" + "a" * 9_000,
])  # fmt: skip
def test_another_address_is_refused(url) -> None:
    """And named."""
    with pytest.raises(InvalidRequest) as caught:
        address(url, "images[0].image_url")
    assert caught.value.param == "images[0].image_url"
