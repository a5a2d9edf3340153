"""`POST /v1/images/generations` and `/edits`: by the image tool, else by the native endpoints.

Codex accounts make images with a tool of the Responses API, so a request is a call like any other,
made by a model that can hold the tool. What the tool can't do, and what no account with the tool
can do now, goes to upstreams that have the endpoints themselves.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

from msgspec import structs

from app.dialects.images.pictures import data_url
from app.dialects.images.replies import (
    Family,
    ImagesFold,
    ImagesStream,
    error_event,
    native_stream,
    native_usage,
)
from app.dialects.images.requests import (
    DEFAULT_MODEL,
    Inputs,
    by_tool,
    checked,
    inputs_of,
    is_image_model,
    to_native,
    to_tool,
)
from app.dialects.images.schema import ImageRequest, decode, of_form
from app.dialects.responses.errors import error_body
from app.domain.call import Call, Dialect
from app.domain.needs import Need
from app.domain.operation import Operation
from app.edge.affinity import isolated_headers
from app.edge.forms import is_form, read_form
from app.edge.models import Models
from app.edge.plans import Asked, DocumentForm, Plan
from app.errors import GatewayError, InvalidRequest, UnknownModel
from app.relay.reply import Batch
from app.wire.headers import request_headers

_CONTENT_TYPE: Final = b"content-type"
_IMAGE_FIELDS: Final = ("image", "image[]")


class ImagesSpeaker:
    """Speaks the Images API; one for making images, one for making others of them."""

    dialect = Dialect.IMAGES
    codex_route = False

    def __init__(self, *, models: Models, now: Callable[[], float], edits: bool) -> None:
        self._models = models
        self._now = now
        self._edits = edits

    async def plan(self, asked: Asked) -> Plan:
        """Return what an Images request comes down to."""
        request, inputs = self._read(asked)
        named = request.model or DEFAULT_MODEL
        host, native = self._resolve(named, asked)
        created_at = int(self._now())
        call = self._call(asked, request, inputs, host=host)
        otherwise = self._native(call, request, inputs, model=native, created_at=created_at)
        if not by_tool(request):
            return otherwise
        family = self._family
        as_url = request.response_format == "url"
        return Plan(
            call=call,
            stream=call.stream,
            lane=lambda: ImagesLane(ImagesStream(family=family, created_at=created_at)),
            whole=lambda: WholeImages(ImagesFold(created_at=created_at, as_url=as_url)),
            otherwise=otherwise if is_image_model(named) else None,
        )

    def error_body(self, error: GatewayError) -> bytes:
        """Return the error in OpenAI's shape."""
        return error_body(error)

    @property
    def _family(self) -> Family:
        return "image_edit" if self._edits else "image_generation"

    def _read(self, asked: Asked) -> tuple[ImageRequest, Inputs]:
        """Return what is asked for, and the images to work from."""
        content_type = asked.head.find(_CONTENT_TYPE)
        if content_type is not None and is_form(content_type):
            if not self._edits:
                raise InvalidRequest(
                    "Images are made of words alone: send JSON.", param="content-type"
                )
            return _of_form(asked.body, content_type)
        request = decode(asked.body)
        return request, inputs_of(request) if self._edits else Inputs()

    def _resolve(self, named: str, asked: Asked) -> tuple[str, str]:
        """Return the model that holds the tool, and the one that the native endpoints are asked.

        The name of an image model stands for a model that can hold the tool, unless the operator
        has given it another meaning.
        """
        caller = asked.caller
        try:
            model = self._models.resolve(named, caller).model
        except UnknownModel:
            if not is_image_model(named):
                raise
            model = named
        if not is_image_model(model):
            return model, named
        return self._models.tool_host(named, caller), model

    def _call(self, asked: Asked, request: ImageRequest, inputs: Inputs, *, host: str) -> Call:
        caller = asked.caller
        return Call(
            id=asked.head.request_id,
            caller_id=caller.id,
            dialect=self.dialect,
            model=host,
            body=to_tool(request, inputs, host=host),
            headers=isolated_headers(request_headers(asked.head.raw), caller.id),
            groups=caller.groups,
            tags=caller.tags,
            uid=asked.uid,
            asked_model=request.model or DEFAULT_MODEL,
            stream=bool(request.stream),
            needs=frozenset({Need.IMAGES}),
        )

    def _native(
        self, call: Call, request: ImageRequest, inputs: Inputs, *, model: str, created_at: int
    ) -> Plan:
        """Return how the endpoints are asked that upstreams have for images."""
        form = DocumentForm(usage=native_usage, body=bytes)
        if call.stream:
            stream = partial(native_stream, family=self._family, created_at=created_at)
            form = DocumentForm(usage=native_usage, body=stream, stream=True)
        asked = structs.replace(
            call,
            model=model,
            body=to_native(request, inputs, model=model),
            operation=Operation.IMAGES_EDITS if self._edits else Operation.IMAGES_GENERATIONS,
            needs=frozenset({Need.IMAGES_API}),
        )
        return Plan(call=asked, stream=call.stream, document=form)


class ImagesLane:
    """The way of a reply's events to a caller who watches an image come about."""

    def __init__(self, stream: ImagesStream) -> None:
        self._stream = stream

    def feed(self, batch: Batch) -> bytes:
        """Return the events that the upstream's events give rise to."""
        return b"".join([self._stream.feed(event.data) for event in batch.events])

    def finish(self) -> bytes:
        """Return the image, or the error that took its place."""
        return self._stream.finish()

    def failed(self, error: GatewayError) -> bytes:
        """Return the event that ends a broken stream."""
        return error_event(error)


class WholeImages:
    """The answer of a call that did not ask to stream."""

    def __init__(self, fold: ImagesFold) -> None:
        self._fold = fold

    def feed(self, batch: Batch) -> None:
        """Take the next events."""
        self._fold.feed(event.data for event in batch.events)

    def body(self) -> bytes:
        """Return the document."""
        return self._fold.body()


def _of_form(body: bytes, content_type: str) -> tuple[ImageRequest, Inputs]:
    """Return what a form asks for; its images are files."""
    form = read_form(body, content_type)
    request = of_form(form.fields)
    for name in ("image", "images", "mask"):
        if name in form.fields:
            raise InvalidRequest(f"'{name}' must be a file in a form.", param=name)
    images: list[str] = []
    mask: str | None = None
    for file in form.files:
        if file.field in _IMAGE_FIELDS:
            images.append(data_url(file.data, f"image[{len(images)}]" if images else "image"))
        elif file.field != "mask":
            raise InvalidRequest(f"The form has an unknown file: '{file.field}'.", param=file.field)
        elif mask is not None:
            raise InvalidRequest("The field 'mask' stands twice in the form.", param="mask")
        else:
            mask = data_url(file.data, "mask")
    return request, checked(Inputs(images, mask))
