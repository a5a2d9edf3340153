"""The few fields that policy needs from a request's body, and proof that they are the only ones.

A body that passes through is never built: the top level is read as a mapping of names to raw
JSON, and only what decides something is decoded. Two readers must not see two requests in one
body, so a name that stands twice at the top is refused, whatever it is, and so is all that
parsers disagree about: other encodings than UTF-8, a byte order mark, `NaN`, lone surrogates,
raw control characters, more than 512 levels. A number such as `1e999` is JSON and passes where
nobody reads it.

What a field means, and what else may stand in a request, is for the dialects.
"""

import codecs
import re
from typing import Final, TypeVar

import msgspec
from msgspec import Raw, Struct

from app.errors import InvalidRequest
from app.wire import nesting
from app.wire.violations import malformed, missing_field, read, violation

T = TypeVar("T")

MODEL_CHARS_MAX: Final = 256

_BOM: Final = codecs.BOM_UTF8
_TEXT_BYTES: Final = 1024 * 1024
_TOP: Final = msgspec.json.Decoder(dict[str, Raw])
_SPACE: Final = re.compile(rb"[ \t\r\n]*+")
_MEMBER: Final = re.compile(
    rb'[ \t\r\n]*+("[^"\\]*+(?:\\.[^"\\]*+)*+")[ \t\r\n]*+:[ \t\r\n]*+', re.DOTALL
)
_ENCRYPTED: Final = b'"encrypted_content"'
_ENCRYPTED_VALUE: Final = re.compile(rb'[ \t\r\n]*+:[ \t\r\n]*+"(?!")')
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Peek(Struct, frozen=True):
    """What policy knows of a request.

    `fields` are the top level's members as raw JSON, in the body's order; they are views that
    keep the body alive. `encrypted` says that `input` carries encrypted items, which only the
    account that made them can read. `session_id` and `thread_id` are the `client_metadata`'s.
    """

    fields: dict[str, Raw]
    model: str
    stream: bool = False
    store: bool | None = None
    background: bool = False
    prompt_cache_key: str | None = None
    previous_response_id: str | None = None
    service_tier: str | None = None
    effort: str | None = None
    session_id: str | None = None
    thread_id: str | None = None
    encrypted: bool = False


class _Reasoning(Struct):
    effort: str | None = None


class _Metadata(Struct):
    session_id: str | None = None
    thread_id: str | None = None


def peek(body: bytes) -> Peek:
    """Return what policy needs from `body`.

    Raises:
        InvalidRequest: The body is no JSON object of the form above, lacks `model`, or has a
            field of the wrong type; `param` names the field.
    """
    fields = _top(body)
    spans = _spans(body, fields)
    reasoning = _read(fields, "reasoning", _Reasoning) or _Reasoning()
    metadata = _read(fields, "client_metadata", _Metadata) or _Metadata()
    return Peek(
        fields=fields,
        model=_model(fields),
        stream=_read(fields, "stream", bool) or False,
        store=_read(fields, "store", bool),
        background=_read(fields, "background", bool) or False,
        prompt_cache_key=_word(fields, "prompt_cache_key"),
        previous_response_id=_word(fields, "previous_response_id"),
        service_tier=_word(fields, "service_tier"),
        effort=reasoning.effort,
        session_id=_plain(metadata.session_id, "client_metadata.session_id"),
        thread_id=_plain(metadata.thread_id, "client_metadata.thread_id"),
        encrypted="input" in spans and _encrypted(body, *spans["input"]),
    )


def _top(body: bytes) -> dict[str, Raw]:
    if body.startswith(_BOM):
        raise InvalidRequest("The request body begins with a byte order mark; send plain UTF-8.")
    _check_text(body)
    nesting.check(body)
    try:
        fields = _TOP.decode(body)
    except msgspec.ValidationError as error:
        raise violation(error) from None
    except msgspec.DecodeError as error:
        raise malformed(error, bytes_total=len(body)) from None
    if len(fields) > nesting.MEMBERS_MAX:
        raise nesting.too_wide()
    return fields


def _check_text(body: bytes) -> None:
    """Refuse what is no UTF-8, a megabyte at a time; msgspec does not look into what it skips."""
    if body.isascii():
        return
    decoder = codecs.getincrementaldecoder("utf-8")()
    for start in range(0, len(body), _TEXT_BYTES):
        held = len(decoder.getstate()[0])
        end = start + _TEXT_BYTES
        try:
            decoder.decode(body[start:end], final=end >= len(body))
        except UnicodeDecodeError as error:
            byte = start - held + error.start
            raise InvalidRequest(f"The request body is not valid UTF-8 at byte {byte}.") from None


def _spans(body: bytes, fields: dict[str, Raw]) -> dict[str, tuple[int, int]]:
    """Return where each member's value stands; refuse a name that stands twice.

    The body is known to be JSON and the decoder keeps a name's last value. So where a name stands
    once, its value follows it; where something else follows, the name comes again later.
    """
    spans: dict[str, tuple[int, int]] = {}
    view = memoryview(body)
    at = body.index(b"{") + 1
    while member := _MEMBER.match(body, at):
        name = msgspec.json.decode(member[1], type=str)
        value = fields[name]
        start = member.end()
        end = start + memoryview(value).nbytes
        after = _SPACE.match(body, end)
        at = after.end() if after else end
        follows = Raw(view[start:end]) == value and body[at : at + 1] in (b",", b"}")
        if name in spans or not follows:
            raise InvalidRequest(f"The field '{name}' stands twice in the request.", param=name)
        spans[name] = (start, end)
        at += 1
    return spans


def _encrypted(body: bytes, start: int, end: int) -> bool:
    while (found := body.find(_ENCRYPTED, start, end)) >= 0:
        start = found + len(_ENCRYPTED)
        if _ENCRYPTED_VALUE.match(body, start):
            return True
    return False


def _model(fields: dict[str, Raw]) -> str:
    if "model" not in fields:
        raise missing_field("model")
    model = read(fields["model"], str, at="model")
    if not model.strip():
        raise InvalidRequest("Invalid value for 'model': it is empty.", param="model")
    if len(model) > MODEL_CHARS_MAX:
        raise InvalidRequest(
            f"Invalid value for 'model': expected at most {MODEL_CHARS_MAX} characters.",
            param="model",
        )
    _plain(model, "model")
    return model


def _word(fields: dict[str, Raw], name: str) -> str | None:
    return _plain(_read(fields, name, str), name)


def _plain(value: str | None, at: str) -> str | None:
    if value is not None and _CONTROL.search(value):
        raise InvalidRequest(f"Invalid value for '{at}': it has a control character.", param=at)
    return value


def _read(fields: dict[str, Raw], name: str, form: type[T]) -> T | None:
    value = fields.get(name)
    if value is None or bytes(memoryview(value)[:1]) == b"n":
        return None
    return read(value, form, at=name)
