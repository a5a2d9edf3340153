"""Images and documents become input parts, or errors that name the field."""

import base64

import msgspec
import pytest

from app.dialects.messages.media import document, image
from app.dialects.messages.schema import DocumentBlock, ImageBlock
from app.errors import InvalidRequest

MAGIC = {
    "image/jpeg": b"\xff\xd8\xff\xe0",
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/gif": b"GIF89a",
    "image/webp": b"RIFF\x10\0\0\0WEBPVP8 ",
}


def encoded(data):
    """Return bytes as base64."""
    return base64.b64encode(data).decode()


def shown(kind, data):
    """Return an image block of base64."""
    source = {"type": "base64", "media_type": kind, "data": data}
    return msgspec.convert({"type": "image", "source": source}, ImageBlock)


def filed(**source):
    """Return a document block."""
    return msgspec.convert({"type": "document", "source": source}, DocumentBlock)


@pytest.mark.parametrize("kind", MAGIC)
@pytest.mark.parametrize("labelled", MAGIC)
def test_an_image_is_what_it_is_whatever_its_label(kind, labelled):
    """The data is sent on as it came."""
    data = encoded(MAGIC[kind] + bytes(70))
    assert image(shown(labelled, data), "at")["image_url"] == f"data:{kind};base64,{data}"


@pytest.mark.parametrize(
    ("kind", "data", "param"),
    [
        ("image/tiff", encoded(b"II*\0"), "at.source.media_type"),
        ("image/png", encoded(b"no image at all"), "at.source.data"),
        ("image/png", "", "at.source.data"),
        ("image/png", "iVBORw0KGg!=", "at.source.data"),
        ("image/png", "iVBORw0KGgo", "at.source.data"),
        ("image/png", "iVBO=w0KGgoA", "at.source.data"),
        ("image/png", "iVBORw0KGgo\n", "at.source.data"),
        ("image/png", "iVBORw0Kügo=", "at.source.data"),
    ],
)
def test_a_bad_image_is_refused_by_name(kind, data, param):
    """Before an account is touched."""
    with pytest.raises(InvalidRequest) as caught:
        image(shown(kind, data), "at")
    assert caught.value.param == param


def test_what_was_uploaded_is_not_here():
    """The error says what to do."""
    source = {"type": "file", "file_id": "file_1"}
    block = msgspec.convert({"type": "image", "source": source}, ImageBlock)
    with pytest.raises(InvalidRequest, match=r"at\.source\.type: Files are not stored") as caught:
        image(block, "at")
    assert caught.value.param == "at.source.type"
    with pytest.raises(InvalidRequest, match="Files are not stored"):
        document(filed(**source), "at")


@pytest.mark.parametrize(
    ("source", "param"),
    [
        ({"media_type": "text/html", "data": encoded(b"<p>")}, "at.source.media_type"),
        ({"media_type": "application/pdf", "data": encoded(b"<p>")}, "at.source.data"),
        ({"media_type": "application/pdf", "data": "%PDF"}, "at.source.data"),
    ],
)
def test_a_bad_document_is_refused_by_name(source, param):
    """As an image is."""
    with pytest.raises(InvalidRequest) as caught:
        document(filed(type="base64", **source), "at")
    assert caught.value.param == param


def test_a_documents_own_name_is_kept():
    """If it is a file's name."""
    source = {"type": "base64", "media_type": "application/pdf", "data": encoded(b"%PDF-1.7")}
    block = msgspec.convert({"type": "document", "source": source, "title": "a.pdf"}, DocumentBlock)
    assert document(block, "at")[1]["filename"] == "a.pdf"
