"""Tests of app.edge.images."""

import json

import msgspec
import pytest
from msgspec import structs

from app.dialects.catalog import Catalog
from app.domain.call import Dialect
from app.domain.needs import Need
from app.domain.operation import Operation
from app.edge.guards import Guard
from app.edge.images import ImagesSpeaker
from app.edge.models import Models
from app.edge.plans import Asked, Plan
from app.edge.request import read_head
from app.errors import GatewayError, InvalidRequest, NotAllowed, StreamIncomplete, UnknownModel
from app.relay.reply import Batch
from app.wire.sse import SseEvent
from tests.edge.asgi import CALLER, Callers, with_key
from tests.edge.test_forms import TYPE, form, part
from tests.fakes.clock import FakeClock

PNG = b"\x89PNG\r\n\x1a\nx"
PNG_URL = "data:image/png;base64,iVBORw0KGgp4"
DONE = (
    b'{"type":"response.output_item.done","item":{"type":"image_generation_call","result":"QQ=="}}',
    b'{"type":"response.completed","response":{"usage":{"input_tokens":5,"output_tokens":9}}}',
)


def speaker(*, edits: bool = False, catalog: Catalog | None = None) -> ImagesSpeaker:
    """Return a speaker with the built-in models, or others."""
    guard = Guard(callers=Callers(), clock=FakeClock(), allow_anonymous=False)
    models = Models(guard=guard)
    models.catalog = catalog or models.catalog
    return ImagesSpeaker(models=models, now=lambda: 1784900000.5, edits=edits)


async def plan(body: object, *, type: str = "application/json", caller=CALLER, **options) -> Plan:
    """Return the plan of an Images request."""
    sent = body if isinstance(body, bytes) else msgspec.json.encode(body)
    head = read_head(with_key(("content-type", type)))
    return await speaker(**options).plan(Asked(head, caller, sent, "c0de-1"))


def batch(*events: bytes) -> Batch:
    """Return events that came together."""
    spelled = [SseEvent("", data, b"data: " + data + b"\n\n") for data in events]
    return Batch(b"".join(event.raw for event in spelled), spelled)


async def test_an_image_is_made_by_a_model_that_holds_the_tool() -> None:
    """Else by an upstream that has the endpoint."""
    planned = await plan({"prompt": "a fjord", "stream": True})
    call, body = planned.call, json.loads(planned.call.body)
    assert (call.dialect, call.model, call.asked_model) == (
        Dialect.IMAGES, "gpt-5.5", "gpt-image-1",
    )  # fmt: skip
    assert (body["model"], body["tools"]) == ("gpt-5.5", [{"type": "image_generation"}])
    assert call.needs == {Need.IMAGES}
    assert call.stream is planned.stream is True
    otherwise = planned.otherwise
    assert otherwise is not None
    assert otherwise.document is not None
    assert otherwise.document.stream
    assert (otherwise.call.operation, otherwise.call.model) == (
        Operation.IMAGES_GENERATIONS, "gpt-image-1",
    )  # fmt: skip
    assert otherwise.call.needs == {Need.IMAGES_API}


async def test_what_the_tool_can_not_do_is_asked_of_the_endpoint_alone() -> None:
    """Several images at once, and the older models."""
    planned = await plan({"prompt": "a fjord", "n": 2})
    assert (planned.call.operation, planned.otherwise) == (Operation.IMAGES_GENERATIONS, None)
    assert planned.document is not None
    assert planned.document.body(b"x") == b"x"
    assert (await plan({"prompt": "x", "model": "dall-e-3"})).call.model == "dall-e-3"


async def test_a_model_that_can_hold_the_tool_may_be_named() -> None:
    """By its own name, or by an alias that the operator has made."""
    planned = await plan({"prompt": "x", "model": "gpt-5.4"})
    assert (planned.call.model, planned.otherwise) == ("gpt-5.4", None)
    catalog = Catalog({"gpt-image-1": "gpt-5.4-mini"})
    planned = await plan({"prompt": "x"}, catalog=catalog)
    assert planned.call.model == "gpt-5.4-mini"


async def test_an_image_model_of_an_upstream_keeps_its_name_there() -> None:
    """An alias may stand for it."""
    catalog = Catalog({"draw": "gpt-image-9"}, configured=["gpt-image-9"])
    planned = await plan({"prompt": "x", "model": "draw", "n": 2}, catalog=catalog)
    assert planned.call.model == "gpt-image-9"


async def test_models_that_nobody_has_are_unknown() -> None:
    """As everywhere."""
    with pytest.raises(UnknownModel):
        await plan({"prompt": "x", "model": "paintbrush"})
    with pytest.raises(UnknownModel):
        await plan({"prompt": "x"}, catalog=Catalog(cards=()))


async def test_a_key_may_be_for_other_models() -> None:
    """The image model's name, or the model's that holds the tool, must be among its own."""
    with pytest.raises(NotAllowed):
        await plan({"prompt": "x"}, caller=structs.replace(CALLER, models=("gpt-5.4",)))
    for name in ("gpt-image-1", "gpt-5.5"):
        caller = structs.replace(CALLER, models=(name,))
        body = {"prompt": "x", "model": "gpt-image-1"}
        assert (await plan(body, caller=caller)).call.model == "gpt-5.5"


async def test_an_edit_comes_as_a_form() -> None:
    """As the SDKs send it: one image or several, and a mask."""
    body = form(
        part("prompt", b"add a boat"), part("n", b"1"), part("image[]", PNG, "a.png"),
        part("image[]", PNG, "b.png"), part("mask", PNG, "m.png"),
    )  # fmt: skip
    planned = await plan(body, type=TYPE, edits=True)
    sent = json.loads(planned.call.body)
    content = sent["input"][0]["content"]
    assert [p["type"] for p in content] == ["input_text", "input_image", "input_image"]
    assert content[1]["image_url"] == PNG_URL
    assert sent["tools"][0]["input_image_mask"] == {"image_url": PNG_URL}
    assert planned.otherwise is not None
    assert planned.otherwise.call.operation is Operation.IMAGES_EDITS


async def test_an_edit_comes_as_json() -> None:
    """With addresses."""
    planned = await plan({"prompt": "x", "image": PNG_URL}, edits=True)
    assert json.loads(planned.call.body)["tools"][0]["action"] == "edit"


PROMPT = part("prompt", b"x")


@pytest.mark.parametrize(("body", "type", "param", "edits"), [
    (form(PROMPT), TYPE, "content-type", False),
    (form(PROMPT), TYPE, "image", True),
    (form(PROMPT, part("image", b"%PDF", "a")), TYPE, "image", True),
    (form(PROMPT, part("image", PNG, "a"), part("image", b"", "b")), TYPE, "image[1]", True),
    (form(PROMPT, part("image", PNG)), TYPE, "image", True),
    (form(PROMPT, part("image", PNG, "a"), part("mask", b"x", "m")), TYPE, "mask", True),
    (form(PROMPT, *[part("mask", PNG, "m")] * 2), TYPE, "mask", True),
    (form(PROMPT, part("video", PNG, "a")), TYPE, "video", True),
    (form(part("image", PNG, "a")), TYPE, "prompt", True),
    (PROMPT, TYPE, "prompt", True),
    (b"{}", "application/json", "prompt", True),
    (b'{"prompt":"x"}', "application/json", "image", True),
])  # fmt: skip
async def test_what_is_wrong_is_named(body, type, param, edits) -> None:
    """Before an account is touched."""
    with pytest.raises(InvalidRequest) as caught:
        await plan(body, type=type, edits=edits)
    assert caught.value.param == param


async def test_a_reply_becomes_the_events_of_images() -> None:
    """And a broken one an error."""
    lane = (await plan({"prompt": "x", "stream": True})).lane()
    said = lane.feed(batch(*DONE)) + lane.finish()
    assert said.startswith(b"event: image_generation.completed\n")
    assert lane.failed(StreamIncomplete("cut")).startswith(b"event: error\n")
    lane = (await plan({"prompt": "x", "image": PNG_URL, "stream": True}, edits=True)).lane()
    assert b"image_edit.completed" in lane.feed(batch(*DONE)) + lane.finish()


async def test_a_reply_becomes_a_document() -> None:
    """With the usage."""
    whole = (await plan({"prompt": "x"})).whole()
    whole.feed(batch(*DONE))
    document = json.loads(whole.body())
    assert (document["created"], document["data"]) == (1784900000, [{"b64_json": "QQ=="}])
    assert document["usage"]["total_tokens"] == 14


def test_an_error_is_openais_object() -> None:
    """All four keys."""
    error = msgspec.json.decode(speaker().error_body(GatewayError("no")))["error"]
    assert error.keys() == {"message", "type", "param", "code"}
