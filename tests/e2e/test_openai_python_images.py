"""The official Python client makes images and changes them, whole and as they come about."""

import base64
from collections.abc import Iterator

import openai
import pytest

from tests.e2e.asking import prompt
from tests.e2e.programs import API_KEY, Gateway

PNG = b"\x89PNG\r\n\x1a\n" + bytes(59)
DRAWN = [{"type": "image", "prompt": "a fjord", "size_bytes": 3_000_000, "partials": 2}]


@pytest.fixture
def client(gateway: Gateway) -> Iterator[openai.OpenAI]:
    """The client as its users make it, but for the address; it retries nothing in secret."""
    with openai.OpenAI(api_key=API_KEY, base_url=f"{gateway.url}/v1", max_retries=0) as client:
        yield client


def test_an_image_is_made(client) -> None:
    """Of some megabytes, with its usage."""
    answer = client.images.generate(model="gpt-image-1", prompt=prompt("A fjord", items=DRAWN))
    [image] = answer.data
    assert base64.b64decode(image.b64_json).startswith(PNG[:8])
    assert len(image.b64_json) >= 4_000_000
    assert image.revised_prompt == "a fjord"
    assert answer.usage.total_tokens > 0
    answer = client.images.generate(prompt=prompt("A fjord"), response_format="url")
    assert answer.data[0].url.startswith("data:image/png;base64,iVBOR")


def test_an_image_comes_about(client) -> None:
    """The images on the way, then the finished one."""
    events = list(
        client.images.generate(
            model="gpt-image-1",
            prompt=prompt("A fjord", items=DRAWN),
            stream=True,
            partial_images=2,
        )
    )
    partial = "image_generation.partial_image"
    assert [event.type for event in events] == [partial, partial, "image_generation.completed"]
    assert [event.partial_image_index for event in events[:2]] == [0, 1]
    assert events[-1].usage.total_tokens > 0


@pytest.mark.parametrize("images", [PNG, [PNG, PNG]])
def test_an_image_is_changed(client, images) -> None:
    """The client sends a form; one file and several have different names in it."""
    files = [("a.png", image) for image in images] if isinstance(images, list) else ("a.png", PNG)
    answer = client.images.edit(
        model="gpt-image-1", image=files, mask=("m.png", PNG), prompt=prompt("Add a boat"), n=1
    )
    assert base64.b64decode(answer.data[0].b64_json).startswith(PNG[:8])
    events = list(
        client.images.edit(
            model="gpt-image-1", image=files, prompt=prompt("Add a boat", items=DRAWN), stream=True
        )
    )
    assert [event.type for event in events][-1] == "image_edit.completed"


def test_a_limited_account_is_not_noticed(client, simulator) -> None:
    """Another one makes the image."""
    asked = prompt("A fjord", attempts=[{"fault": "429_usage_limit"}, {}])
    assert client.images.generate(prompt=asked).data
    assert [turn["status"] for turn in simulator.wait_for_records(2)] == [429, 200]


@pytest.mark.parametrize(("fields", "kind", "param"), [
    ({"n": 2}, openai.APIStatusError, None),
    ({"n": 11}, openai.BadRequestError, "n"),
    ({"size": "huge"}, openai.BadRequestError, "size"),
    ({"model": "paintbrush"}, openai.NotFoundError, "model"),
])  # fmt: skip
def test_what_can_not_be_had_is_told(client, simulator, fields, kind, param) -> None:
    """No account is asked; several images at once need an upstream that has the endpoint."""
    with pytest.raises(kind) as caught:
        client.images.generate(prompt="A fjord", **fields)
    if param is None:
        assert (caught.value.status_code, caught.value.code) == (501, "not_supported_by_upstream")
    else:
        assert caught.value.param == param
    assert simulator.records == []


def test_an_image_that_is_none_is_named(client, simulator) -> None:
    """And so is a form that is broken."""
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.edit(image=("a.png", b"%PDF-1.7"), prompt="x")
    assert caught.value.param == "image"
    broken = client._client.post(
        f"{client.base_url}images/edits",
        headers={
            "authorization": f"Bearer {API_KEY}",
            "content-type": "multipart/form-data; boundary=x",
        },
        content=b'--x\r\ncontent-disposition: form-data; name="prompt"\r\n\r\nhi',
    )
    assert (broken.status_code, broken.json()["error"]["param"]) == (400, "prompt")
    assert simulator.records == []


def test_words_in_place_of_an_image_are_an_error(client) -> None:
    """The caller reads them."""
    refusing = [{"type": "message", "text": "I can not draw that."}]
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.generate(prompt=prompt("A fjord", items=refusing))
    assert "I can not draw that." in str(caught.value)
