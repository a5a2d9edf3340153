"""Tests of app.edge.forms."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.edge.forms import FIELD_BYTES_MAX, PARTS_MAX, File, is_form, read_form
from app.errors import InvalidRequest

TYPE = "multipart/form-data; boundary=x"


def part(name: str, value: bytes, filename: str | None = None) -> bytes:
    """Return one part of a form."""
    file = f'; filename="{filename}"' if filename is not None else ""
    head = f'content-disposition: form-data; name="{name}"{file}\r\n\r\n'.encode()
    return b"--x\r\n" + head + value + b"\r\n"


def form(*parts: bytes) -> bytes:
    """Return a whole form."""
    return b"".join(parts) + b"--x--\r\n"


def test_fields_and_files_are_told_apart() -> None:
    """By whether a part has a file's name; files keep their order and may share a field."""
    body = form(
        part("prompt", "Grüße".encode()), part("image[]", b"1", "a"), part("image[]", b"\0", "")
    )
    read = read_form(body, TYPE)
    assert read.fields == {"prompt": "Grüße"}
    assert read.files == [File("image[]", b"1"), File("image[]", b"\0")]


@pytest.mark.parametrize(("content_type", "expected"), [
    (TYPE, True), ("Multipart/Form-Data;boundary=x", True), ("multipart/form-data", True),
    ("multipart/mixed; boundary=x", False), ("application/json", False), (None, False),
])  # fmt: skip
def test_a_form_is_known_by_its_content_type(content_type, expected) -> None:
    """Whether it has a boundary is another question."""
    assert is_form(content_type) is expected


@pytest.mark.parametrize(("body", "content_type", "param"), [
    (form(), "multipart/form-data", "content-type"),
    (form(), "multipart/form-data; boundary=" + "x" * 71, "content-type"),
    (form(), "multipart/form-data; boundary=ü", "content-type"),
    (b"", TYPE, None),
    (b"no form at all", TYPE, None),
    (part("prompt", b"hi"), TYPE, "prompt"),
    (form(part("prompt", b"hi"))[:-9], TYPE, "prompt"),
    (b"--x\r\ncontent-disposition: form-data\r\n\r\nhi\r\n--x--\r\n", TYPE, None),
    (form(part("a", b"1"), part("a", b"2")), TYPE, "a"),
    (form(part("a", b"\xff")), TYPE, "a"),
    (form(part("a", b"1" * (FIELD_BYTES_MAX + 1))), TYPE, "a"),
    (form(*(part(f"f{n}", b"1") for n in range(PARTS_MAX + 1))), TYPE, f"f{PARTS_MAX - 1}"),
])  # fmt: skip
def test_what_is_wrong_with_a_form_is_named(body, content_type, param) -> None:
    """As far as it can be."""
    with pytest.raises(InvalidRequest) as caught:
        read_form(body, content_type)
    assert caught.value.param == param


def test_a_part_with_many_headers_is_refused() -> None:
    """They would be held."""
    headers = b"".join(b"x-%d: 1\r\n" % number for number in range(20))
    with pytest.raises(InvalidRequest):
        read_form(b"--x\r\n" + headers + b"\r\nhi\r\n--x--\r\n", TYPE)


@given(st.binary(max_size=200))
def test_no_form_is_worse_than_a_bad_request(body) -> None:
    """Whatever is sent."""
    with contextlib.suppress(InvalidRequest):
        read_form(b"--x\r\n" + body, TYPE)


@given(st.binary(max_size=300).filter(lambda data: b"\r\n--x" not in data))
def test_a_file_comes_out_as_it_went_in(data) -> None:
    """Byte for byte."""
    assert read_form(form(part("image", data, "a.png")), TYPE).files == [File("image", data)]
