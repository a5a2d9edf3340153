"""The image tool's events, said as the Images API says them: as a stream, or as one document. Pure.

An image travels as base64 text of several megabytes. It is never decoded: the JSON string that the
upstream sent is put into the answer as it is.
"""

from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import Raw, Struct

from app.dialects.responses.errors import error_body
from app.dialects.responses.events import Kind, classify, failure_of, receipt_of
from app.domain.usage import Usage
from app.errors import CallerError, GatewayError, StreamIncomplete, UpstreamError

Family: TypeAlias = Literal["image_generation", "image_edit"]

_PARTIAL: Final = b'"response.image_generation_call.partial_image"'
_NAME_BYTES: Final = 96
"""An event begins with its type, so this much of a large one tells it."""
_SIGNS: Final = ("size", "quality", "background", "output_format")
_EMPTY: Final = Raw(b"")


class _Item(Struct):
    type: str | None = None
    result: Raw = _EMPTY
    revised_prompt: str | None = None
    size: str | None = None
    quality: str | None = None
    background: str | None = None
    output_format: str | None = None
    content: Raw = _EMPTY


class _Done(Struct):
    item: _Item | None = None


class _Partial(Struct):
    type: str
    partial_image_b64: Raw = _EMPTY
    partial_image_index: int = 0
    size: str | None = None
    quality: str | None = None
    background: str | None = None
    output_format: str | None = None


class _Text(Struct):
    text: str = ""


class _Answer:
    """What the events have told so far."""

    def __init__(self) -> None:
        self.images: list[_Item] = []
        self.words: list[str] = []
        self.usage: Usage | None = None
        self.failure: GatewayError | None = None
        self.ended = False

    def hear(self, kind: Kind, data: bytes) -> None:
        """Take note of an event."""
        match kind:
            case Kind.ITEM_DONE:
                self._item(data)
            case Kind.COMPLETED | Kind.INCOMPLETE:
                self.ended = True
                self.usage = receipt_of(data)[0]
            case Kind.FAILED | Kind.ERROR:
                said = failure_of(data)
                words = said.message or "The upstream broke off the answer."
                self.failure = UpstreamError(words, code=said.code, param=said.param)

    def trouble(self) -> GatewayError | None:
        """Return why there is no image, None if there is one."""
        if self.failure is not None:
            return self.failure
        if not self.ended:
            return StreamIncomplete("The upstream's stream ended without its terminal event.")
        if self.images:
            return None
        said = " ".join(self.words).strip()
        if said:
            return CallerError(f"No image was made. The model said: {said}", param="prompt")
        return UpstreamError("The upstream's answer has no image in it.")

    def _item(self, data: bytes) -> None:
        try:
            item = msgspec.json.decode(data, type=_Done).item
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return
        if item is None:
            return
        if item.type == "image_generation_call" and _is_text(item.result):
            item.result = Raw(bytes(item.result))
            self.images.append(item)
        elif item.type == "message":
            self.words += _texts(item.content)


class ImagesStream:
    """The events of the Images API, from those of one reply.

    Feed it every event, then call `finish` once.
    """

    def __init__(self, *, family: Family, created_at: int) -> None:
        self._family = family
        self._created_at = created_at
        self._answer = _Answer()

    def feed(self, data: bytes) -> bytes:
        """Return what the caller gets for one event's JSON; never raises."""
        if _PARTIAL in data[:_NAME_BYTES]:
            return self._partial(data)
        self._answer.hear(classify(data), data)
        return b""

    def finish(self) -> bytes:
        """Return the finished image, or the error that took its place."""
        trouble = self._answer.trouble()
        if trouble is not None:
            return error_event(trouble)
        kind, usage = f"{self._family}.completed", usage_of(self._answer.usage)
        return b"".join(
            _event(kind, image.result, self._created_at, _signs(image) | {"usage": usage})
            for image in self._answer.images
        )

    def _partial(self, data: bytes) -> bytes:
        try:
            partial = msgspec.json.decode(data, type=_Partial)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return b""
        if not _is_text(partial.partial_image_b64):
            return b""
        number = {"partial_image_index": partial.partial_image_index}
        kind = f"{self._family}.partial_image"
        return _event(kind, partial.partial_image_b64, self._created_at, _signs(partial) | number)


class ImagesFold:
    """The document that one reply comes to. Feed it every event, then take `body`.

    With `as_url` the image is an address that holds it, for callers who look for one.
    """

    def __init__(self, *, created_at: int, as_url: bool) -> None:
        self._created_at = created_at
        self._as_url = as_url
        self._answer = _Answer()

    def feed(self, events: Iterable[bytes]) -> None:
        """Take note of events, each by its JSON."""
        for data in events:
            self._answer.hear(classify(data), data)

    def body(self) -> bytes:
        """Return the document.

        Raises:
            GatewayError: There is no image: it failed, was refused, or the reply had no end.
        """
        trouble = self._answer.trouble()
        if trouble is not None:
            raise trouble
        images = self._answer.images
        return msgspec.json.encode(
            {
                "created": self._created_at,
                **_told_signs(images[-1]),
                "data": [self._datum(image) for image in images],
                "usage": usage_of(self._answer.usage),
            }
        )

    def _datum(self, image: _Item) -> dict[str, object]:
        told: dict[str, object] = {}
        if self._as_url:
            head = f'"data:image/{image.output_format or "png"};base64,'.encode()
            told["url"] = Raw(head + bytes(image.result)[1:])
        else:
            told["b64_json"] = image.result
        if image.revised_prompt is not None:
            told["revised_prompt"] = image.revised_prompt
        return told


class _Native(Struct):
    data: list[dict[str, Raw]] = []
    usage: Raw = Raw(b"null")
    size: str | None = None
    quality: str | None = None
    background: str | None = None
    output_format: str | None = None


class _NativeUsage(Struct):
    input_tokens: int = 0
    output_tokens: int = 0


def native_usage(document: bytes) -> Usage | None:
    """Return what the answer of a native endpoint says of usage."""
    try:
        told = msgspec.json.decode(msgspec.json.decode(document, type=_Native).usage)
        used = msgspec.convert(told, _NativeUsage)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return Usage(input=used.input_tokens, output=used.output_tokens)


def native_stream(document: bytes, *, family: Family, created_at: int) -> bytes:
    """Return the answer of a native endpoint as the stream that a caller has asked for."""
    try:
        told = msgspec.json.decode(document, type=_Native)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return error_event(UpstreamError("The upstream's answer is no list of images."))
    more = _signs(told) | {"usage": told.usage}
    return b"".join(
        _event(f"{family}.completed", image["b64_json"], created_at, more)
        for image in told.data
        if "b64_json" in image
    )


def usage_of(usage: Usage | None) -> dict[str, object]:
    """Return the usage as the Images API has it; which tokens are the image's is not told."""
    used = usage or Usage()
    return {
        "input_tokens": used.input,
        "input_tokens_details": {"text_tokens": used.input, "image_tokens": 0},
        "output_tokens": used.output,
        "total_tokens": used.input + used.output,
    }


def error_event(error: GatewayError) -> bytes:
    """Return the event that ends a stream of images that has failed."""
    return b'event: error\ndata: {"type":"error",%b\n\n' % error_body(error)[1:]


def _event(kind: str, image: Raw, created_at: int, more: dict[str, object]) -> bytes:
    said = {"type": kind, "b64_json": image, "created_at": created_at}
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), msgspec.json.encode(said | more))


def _signs(image: _Item | _Partial | _Native) -> dict[str, object]:
    """Return what an image is like, in words that typed SDKs know."""
    return {name: getattr(image, name) or _USUAL[name] for name in _SIGNS}


def _told_signs(image: _Item) -> dict[str, object]:
    """Return what was really told of an image; a document may leave the rest out."""
    told = {name: getattr(image, name) for name in _SIGNS}
    return {name: value for name, value in told.items() if value not in (None, "auto")}


_USUAL: Final = {"size": "auto", "quality": "auto", "background": "auto", "output_format": "png"}


def _is_text(value: Raw) -> bool:
    return bytes(memoryview(value)[:1]) == b'"' and memoryview(value).nbytes > len('""')


def _texts(content: Raw) -> list[str]:
    try:
        return [part.text for part in msgspec.json.decode(content, type=list[_Text])]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
