"""The form of an Images request, whether it came as JSON or as a form.

Known fields are checked, unknown ones ignored: what the image tool of a Codex account can't be told
is judged in `requests`.
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from app.wire.violations import decoded, missing_field, violation

PROMPT_CHARS_MAX: Final = 32_000
IMAGES_MAX: Final = 16
"""Images to work from in one request, as in the public API."""

Size = Annotated[str, Meta(pattern=r"\A(?:auto|[1-9][0-9]{1,4}x[1-9][0-9]{1,4})\Z")]
Background = Literal["transparent", "opaque", "auto"]
Format = Literal["png", "webp", "jpeg"]


class Reference(Struct, frozen=True):
    """An image by its address; the address may hold the image itself."""

    image_url: str | None = None
    file_id: str | None = None


class ImageRequest(Struct, frozen=True):
    """One request to make images, or to make others of them."""

    prompt: Annotated[str, Meta(min_length=1, max_length=PROMPT_CHARS_MAX)]
    model: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    n: Annotated[int, Meta(ge=1, le=10)] | None = None
    size: Size | None = None
    quality: Literal["low", "medium", "high", "xhigh", "max", "auto", "standard", "hd"] | None = (
        None
    )
    background: Background | None = None
    output_format: Format | None = None
    output_compression: Annotated[int, Meta(ge=0, le=100)] | None = None
    moderation: Literal["low", "auto"] | None = None
    partial_images: Annotated[int, Meta(ge=0, le=3)] | None = None
    response_format: Literal["url", "b64_json"] | None = None
    stream: bool | None = None
    style: Literal["vivid", "natural"] | None = None
    input_fidelity: Literal["high", "low"] | None = None
    user: str | None = None
    image: str | list[str] | None = None
    images: list[Reference] | None = None
    mask: str | Reference | None = None


_REQUEST: Final = msgspec.json.Decoder(ImageRequest)


def decode(body: bytes) -> ImageRequest:
    """Return the request in a JSON body.

    Raises:
        InvalidRequest: It is no JSON, or a field has a wrong type, range or word.
    """
    return decoded(body, _REQUEST)


def of_form(fields: dict[str, str]) -> ImageRequest:
    """Return the request in a form's text fields, which say numbers and truths as words.

    Raises:
        InvalidRequest: A field has a wrong form, range or word.
    """
    if "prompt" not in fields:
        raise missing_field("prompt")
    try:
        return msgspec.convert(fields, ImageRequest, strict=False)
    except msgspec.ValidationError as error:
        raise violation(error) from None
