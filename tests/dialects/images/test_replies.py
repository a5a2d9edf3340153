"""Tests of app.dialects.images.replies.

Each folder of `tests/golden/images` with an `upstream.sse` holds what callers get for it:
`reply.sse`, `reply.json` and, as an address, `reply_url.json`.
"""

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import (
    ImageEditCompletedEvent,
    ImageGenCompletedEvent,
    ImageGenPartialImageEvent,
    ImagesResponse,
)

from app.dialects.images.replies import (
    ImagesFold,
    ImagesStream,
    native_stream,
    native_usage,
)
from app.dialects.responses.errors import error_body
from app.errors import GatewayError
from app.wire.sse import SseDecoder
from tests.dialects.goldens import agrees, events_of, streamed

FOLDER = Path(__file__).parents[2] / "golden" / "images"
CASES = sorted(path.parent.name for path in FOLDER.glob("*/upstream.sse"))
AT = 1784900000


@pytest.mark.parametrize("case", CASES)
def test_the_stream_is_as_written(case) -> None:
    """Images that are coming about, then the finished one, or an error."""
    stream = ImagesStream(family="image_edit" if "edit" in case else "image_generation",
                          created_at=AT)  # fmt: skip
    data = streamed(stream, FOLDER / case)
    agrees(FOLDER / case / "reply.sse", data)
    for event in SseDecoder(event_bytes_max=1 << 20).feed(data):
        forms = {
            "image_generation.partial_image": ImageGenPartialImageEvent,
            "image_generation.completed": ImageGenCompletedEvent,
            "image_edit.completed": ImageEditCompletedEvent,
        }
        if form := forms.get(event.name):
            form.model_validate_json(event.data)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("as_url", "name"), [(False, "reply.json"), (True, "reply_url.json")])
def test_the_document_is_as_written(case, as_url, name) -> None:
    """The image with its usage, or the error in its place."""
    fold = ImagesFold(created_at=AT, as_url=as_url)
    fold.feed(events_of(FOLDER / case))
    try:
        data = fold.body()
        ImagesResponse.model_validate_json(data)
    except GatewayError as error:
        data = error_body(error)
    agrees(FOLDER / case / name, msgspec.json.format(data, indent=2) + b"\n")


def test_a_stream_that_just_stops_is_an_error() -> None:
    """It has no image."""
    stream = ImagesStream(family="image_generation", created_at=AT)
    assert b"event: error" in stream.finish()
    with pytest.raises(GatewayError):
        ImagesFold(created_at=AT, as_url=False).body()


EVENTS = st.sampled_from([
    b'{"type":"response.image_generation_call.partial_image"}',
    b'{"type":"response.image_generation_call.partial_image","partial_image_b64":5}',
    b'{"type":"response.image_generation_call.partial_image","partial_image_b64":"QQ=="}',
    b'{"type":"response.output_item.done"}', b'{"type":"response.output_item.done","item":5}',
    b'{"type":"response.output_item.done","item":{"type":"image_generation_call"}}',
    b'{"type":"response.output_item.done","item":{"type":"image_generation_call","result":"QQ"}}',
    b'{"type":"response.output_item.done","item":{"type":"message","content":5}}',
    b'{"type":"response.completed"}', b'{"type":"response.failed","response":{}}',
    b'{"type":"error"}', b"no JSON", b"{}", b"[]", b'{"type":"response.new","x":1}',
])  # fmt: skip


@given(st.lists(EVENTS, max_size=8))
def test_no_events_break_it(events) -> None:
    """Whatever comes, a stream ends with images or with one error."""
    stream = ImagesStream(family="image_generation", created_at=AT)
    fold = ImagesFold(created_at=AT, as_url=False)
    for event in events:
        stream.feed(event)
    fold.feed(events)
    last = stream.finish()
    try:
        images = len(json.loads(fold.body())["data"])
    except GatewayError:
        assert last.count(b"event: ") == 1
        assert b"event: error" in last
    else:
        assert last.count(b"event: image_generation.completed") == images > 0


def test_a_native_answer_can_be_said_as_a_stream() -> None:
    """With its own usage; what is no answer is an error."""
    document = b'{"created":1,"data":[{"b64_json":"QQ=="},{"url":"x"}],"size":"1024x1024",\
"usage":{"input_tokens":3,"output_tokens":4,"total_tokens":7}}'
    said = native_stream(document, family="image_generation", created_at=AT)
    [event] = SseDecoder(event_bytes_max=1 << 20).feed(said)
    data = json.loads(event.data)
    assert (data["b64_json"], data["size"]) == ("QQ==", "1024x1024")
    assert data["usage"]["total_tokens"] == 7
    usage = native_usage(document)
    assert usage is not None
    assert (usage.input, usage.output) == (3, 4)
    assert b"event: error" in native_stream(b"no", family="image_edit", created_at=AT)


@pytest.mark.parametrize("document", [b"no", b"{}", b'{"usage":5}', b'{"usage":{}}'])
def test_a_native_answer_may_say_nothing_of_usage(document) -> None:
    """Then there is none to be told."""
    usage = native_usage(document)
    assert usage is None or usage.total == 0
