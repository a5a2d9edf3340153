"""Tests of app.dialects.images.requests.

Each folder of `tests/golden/images` holds a caller's `request.json` and what comes of it:
`tool.json` for accounts that have the image tool (`edit` in the folder's name means the endpoint
for edits), `native.json` for upstreams with the endpoints themselves.
"""

import json
from pathlib import Path

import pytest

from app.dialects.images.requests import (
    IMAGES_MAX,
    Inputs,
    by_tool,
    inputs_of,
    is_image_model,
    to_native,
    to_tool,
)
from app.dialects.images.schema import decode
from app.errors import InvalidRequest

FOLDER = Path(__file__).parents[2] / "golden" / "images"
CASES = sorted(path.parent.name for path in FOLDER.glob("*/request.json"))
PNG = "data:image/png;base64,iVBORw0KGgo="


@pytest.mark.parametrize("case", CASES)
def test_the_request_goes_upstream_as_written(case) -> None:
    """In the one form and in the other; where there is none for the tool, it can't do it."""
    request = decode((FOLDER / case / "request.json").read_bytes())
    inputs = inputs_of(request) if "edit" in case else Inputs()
    tool = FOLDER / case / "tool.json"
    assert by_tool(request) == tool.exists()
    if tool.exists():
        assert json.loads(to_tool(request, inputs, host="gpt-5.5")) == json.loads(tool.read_text())
    native = json.loads(to_native(request, inputs, model=request.model or "gpt-image-1"))
    assert native == json.loads((FOLDER / case / "native.json").read_text())


@pytest.mark.parametrize(("fields", "param"), [
    ({}, "image"), ({"image": []}, "image"), ({"image": "x"}, "image"),
    ({"image": [PNG, "x"]}, "image[1]"), ({"images": [{}]}, "images[0].image_url"),
    ({"images": [{"file_id": "file-1"}]}, "images[0].file_id"),
    ({"image": PNG, "mask": "x"}, "mask"), ({"image": PNG, "mask": {}}, "mask.image_url"),
    ({"image": [PNG] * (IMAGES_MAX + 1)}, "image"),
])  # fmt: skip
def test_images_that_can_not_be_used_are_named(fields, param) -> None:
    """One by one."""
    request = decode(json.dumps({"prompt": "x"} | fields).encode())
    with pytest.raises(InvalidRequest) as caught:
        inputs_of(request)
    assert caught.value.param == param


@pytest.mark.parametrize(("name", "expected"), [
    ("gpt-image-1", True), ("gpt-image-1.5-mini", True), ("chatgpt-image-latest", True),
    ("dall-e-3", True), ("gpt-5.5", False),
])  # fmt: skip
def test_image_models_are_known_by_name(name, expected) -> None:
    """They make images and nothing else."""
    assert is_image_model(name) is expected
