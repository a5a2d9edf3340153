"""What is wrong with a JSON value, said in the caller's words.

msgspec reports the first violation with a path into the value; this file turns the report into
the sentence and the `param` that callers of the public API know. Whoever reads a part of a
request says where the part stands, so the path is always that of the whole request. Nothing is
judged here: what is right is the form that the reader asks for.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

import msgspec

from app.errors import InvalidRequest

T = TypeVar("T")

_AT: Final = re.compile(r" - at (?:`key` in )?`\$([^`]*)`\Z")
_BYTE: Final = re.compile(r" \(byte (\d+)\)\Z")
_MISSING: Final = re.compile(r"Object missing required field `([^`]*)`\Z")
_TYPES: Final = re.compile(r"Expected `([^`]*)`, got `([^`]*)`\Z")
_ENUM: Final = re.compile(r"Invalid (?:enum )?value '(.*)'\Z", re.DOTALL)
_QUOTE_CHARS_MAX: Final = 64

_WORDS: Final[Mapping[str, str]] = {
    "str": "a string",
    "int": "an integer",
    "float": "a number",
    "bool": "a boolean",
    "array": "an array",
    "object": "an object",
    "null": "null",
}


def read(value: msgspec.Raw, form: type[T], *, at: str) -> T:
    """Return `value`, which stands at `at` in the request, as a `form`.

    `value` must be known to be JSON: only its form is in question.

    Raises:
        InvalidRequest: It has another form; `param` is the full path.
    """
    try:
        return msgspec.json.decode(value, type=form)
    except msgspec.ValidationError as error:
        raise violation(error, at=at) from None


def violation(error: msgspec.ValidationError, *, at: str = "") -> InvalidRequest:
    """Return the answer to a request in whose part at `at` msgspec found `error`."""
    report = str(error)
    found = _AT.search(report)
    sentence = report[: found.start()] if found else report
    path = at + (found[1] if found else "")
    if path.startswith("[...]"):
        # Read without a form, so msgspec knows no names to tell.
        return InvalidRequest(f"Invalid value in the request body: {_said(sentence)}.")
    path = path.removesuffix("[...]").removeprefix(".")
    if missing := _MISSING.match(sentence):
        return missing_field(f"{path}.{missing[1]}" if path else missing[1])
    if not path:
        return InvalidRequest(f"The request body must be a JSON object. {sentence}.")
    if types := _TYPES.match(sentence):
        expected = " or ".join(_WORDS.get(word, word) for word in types[1].split(" | "))
        return wrong_type(path, expected, _WORDS.get(types[2], types[2]))
    if enum := _ENUM.match(sentence):
        return unsupported_value(path, enum[1])
    return InvalidRequest(f"Invalid value for '{path}': {_said(sentence)}.", param=path)


def _said(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]


def decoded(
    body: bytes,
    decoder: "msgspec.json.Decoder[T]",
    said: Callable[[msgspec.ValidationError], InvalidRequest] = violation,
) -> T:
    """Return the request in `body`, its known fields checked.

    `said` says what is wrong with a field in the words of the body's dialect.

    Raises:
        InvalidRequest: It is no JSON, or a field has a wrong type, range or word.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise said(error) from None
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"The request body is not valid JSON: {error}.") from None
    except UnicodeDecodeError:
        raise InvalidRequest("The request body is not valid UTF-8.") from None
    except RecursionError:
        raise InvalidRequest("The request body is nested too deeply.") from None


def malformed(error: msgspec.DecodeError, *, bytes_total: int) -> InvalidRequest:
    """Return the answer to a body of `bytes_total` bytes that is no JSON."""
    report = str(error)
    found = _BYTE.search(report)
    reason = report[: found.start()] if found else report
    byte = int(found[1]) if found else bytes_total
    reason = reason.removeprefix("JSON is malformed: ")
    return InvalidRequest(
        f"The request body is not valid JSON: {reason[0].lower()}{reason[1:]} at byte {byte}."
    )


def missing_field(path: str) -> InvalidRequest:
    """Return the answer to a request that lacks the field at `path`."""
    return InvalidRequest(f"Missing required parameter: '{path}'.", param=path)


def wrong_type(path: str, expected: str, got: str) -> InvalidRequest:
    """Return the answer to a request whose field at `path` has another JSON type."""
    return InvalidRequest(
        f"Invalid type for '{path}': expected {expected}, but got {got} instead.", param=path
    )


def unsupported_value(path: str, value: str, supported: tuple[str, ...] = ()) -> InvalidRequest:
    """Return the answer to a request whose field at `path` has none of the words it may have."""
    listed = f" Supported values are: {', '.join(supported)}." if supported else ""
    quoted = value if len(value) <= _QUOTE_CHARS_MAX else value[:_QUOTE_CHARS_MAX] + "..."
    return InvalidRequest(f"Invalid value for '{path}': '{quoted}'.{listed}", param=path)
