"""An Images request, said as a call of the image tool, or as the native endpoints take it. Pure.

A Codex account makes images with a tool of the Responses API: a model is told to call it with the
user's prompt, once. It makes one image at a time and knows no older image models; what it can't do
is asked of the native endpoints, which only some upstreams have.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from app.dialects.images.pictures import address
from app.dialects.images.schema import IMAGES_MAX, ImageRequest, Reference
from app.errors import InvalidRequest
from app.wire.violations import missing_field

DEFAULT_MODEL: Final = "gpt-image-1"
TOOL: Final = "image_generation"

_PREFIXES: Final = ("gpt-image", "chatgpt-image")
_OLD: Final = "dall-e"
_TOOL_QUALITIES: Final = ("low", "medium", "high", "auto")
_INSTRUCTIONS: Final = (
    "Call the image tool exactly once. Its prompt is the user's text, word for word. Say nothing."
)


class Inputs(Struct, frozen=True):
    """The images to work from, by address: none for a request that makes one of words alone."""

    images: Sequence[str] = ()
    mask: str | None = None


def is_image_model(model: str) -> bool:
    """Tell whether this names a model that makes images and nothing else."""
    return model.startswith((*_PREFIXES, _OLD))


def by_tool(request: ImageRequest) -> bool:
    """Tell whether the image tool can do all that is asked for."""
    old = (request.model or "").startswith(_OLD)
    return not old and request.style is None and (request.n or 1) == 1


def inputs_of(request: ImageRequest) -> Inputs:
    """Return the images that a JSON request to edit names.

    Raises:
        InvalidRequest: There is none, there are too many, or one can't be used.
    """
    given = [request.image] if isinstance(request.image, str) else request.image or []
    named = [address(url, _at("image", index, len(given))) for index, url in enumerate(given)]
    named += [
        _of_reference(image, f"images[{index}]") for index, image in enumerate(request.images or [])
    ]
    mask = request.mask
    if isinstance(mask, Reference):
        mask = _of_reference(mask, "mask")
    elif mask is not None:
        mask = address(mask, "mask")
    return checked(Inputs(named, mask))


def checked(inputs: Inputs) -> Inputs:
    """Return the images, if there are as many as there may be.

    Raises:
        InvalidRequest: There is none, or there are too many.
    """
    if not inputs.images:
        raise missing_field("image")
    if len(inputs.images) > IMAGES_MAX:
        raise InvalidRequest(
            f"Invalid value for 'image': expected at most {IMAGES_MAX} images.", param="image"
        )
    return inputs


def to_tool(request: ImageRequest, inputs: Inputs, *, host: str) -> bytes:
    """Return the Responses request that makes the image: the model `host` calls the tool."""
    content: list[dict[str, object]] = [{"type": "input_text", "text": request.prompt}]
    content += [
        {"type": "input_image", "image_url": url, "detail": "auto"} for url in inputs.images
    ]
    return msgspec.json.encode(
        {
            "model": host,
            "instructions": _INSTRUCTIONS,
            "input": [{"type": "message", "role": "user", "content": content}],
            "tools": [_tool(request, inputs)],
            "tool_choice": {"type": TOOL},
            "parallel_tool_calls": False,
            "store": False,
            "stream": True,
        }
    )


def to_native(request: ImageRequest, inputs: Inputs, *, model: str) -> bytes:
    """Return the request as the native endpoints take it; its answer is one document."""
    left_out = ("image", "images", "mask", "stream", "partial_images", "model")
    fields: dict[str, object] = {
        name: value
        for name in request.__struct_fields__
        if name not in left_out and (value := getattr(request, name)) is not None
    }
    fields["model"] = model
    if not model.startswith(_OLD):
        # These models know one form of answer, and refuse to be asked for it.
        fields.pop("response_format", None)
    if inputs.images:
        fields["images"] = [{"image_url": url} for url in inputs.images]
    if inputs.mask is not None:
        fields["mask"] = {"image_url": inputs.mask}
    return msgspec.json.encode(fields)


def _tool(request: ImageRequest, inputs: Inputs) -> dict[str, object]:
    tool: dict[str, object] = {"type": TOOL}
    if request.model is not None and request.model.startswith(_PREFIXES):
        tool["model"] = request.model
    for name in ("size", "background", "output_format", "output_compression", "moderation"):
        if (value := getattr(request, name)) is not None:
            tool[name] = value
    if request.quality in _TOOL_QUALITIES:
        tool["quality"] = request.quality
    if request.stream and request.partial_images:
        tool["partial_images"] = request.partial_images
    if inputs.images:
        tool["action"] = "edit"
        if request.input_fidelity is not None:
            tool["input_fidelity"] = request.input_fidelity
    if inputs.mask is not None:
        tool["input_image_mask"] = {"image_url": inputs.mask}
    return tool


def _of_reference(image: Reference, at: str) -> str:
    if image.image_url is not None:
        return address(image.image_url, f"{at}.image_url")
    if image.file_id is not None:
        raise InvalidRequest(
            f"'{at}.file_id' can't be used: no file is stored here. Send the image itself.",
            param=f"{at}.file_id",
        )
    raise missing_field(f"{at}.image_url")


def _at(name: str, index: int, count: int) -> str:
    return name if count == 1 else f"{name}[{index}]"
