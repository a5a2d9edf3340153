"""What is wrong with a request, said in the caller's words.

msgspec reports the first violation with a path into the JSON; this file turns the report into
the sentence and the `param` that callers of the public API know. It judges nothing itself.
"""

import re
from collections.abc import Mapping
from typing import Final, TypeVar, get_args

import msgspec

from app.dialects.chat.schema import (
    NAME_PATTERN,
    URL_PATTERN,
    Detail,
    Effort,
    FormatType,
    Level,
    Tier,
)
from app.errors import InvalidRequest

T = TypeVar("T")

UNSUPPORTED: Final = "unsupported_parameter"

_AT: Final = re.compile(r" - at (?:`key` in )?`\$([^`]*)`\Z")
_INDEX: Final = re.compile(r"\[\d+\]")
_MISSING: Final = re.compile(r"Object missing required field `([^`]*)`\Z")
_TYPES: Final = re.compile(r"Expected `([^`]*)`, got `([^`]*)`\Z")
_NAMES: Final = re.compile(r"`(\w+)`")
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
_PATTERNS: Final[Mapping[str, str]] = {
    f"Expected `str` matching regex {NAME_PATTERN!r}": (
        "expected letters, digits, underscores and hyphens only, at least one"
    ),
    f"Expected `str` matching regex {URL_PATTERN!r}": (
        "expected an http(s) URL or a data URL such as 'data:image/png;base64,...'"
    ),
}
_SUPPORTED: Final[Mapping[str, tuple[str, ...]]] = {
    "messages[].role": ("system", "developer", "user", "assistant", "tool", "function"),
    "messages[].content[].image_url.detail": get_args(Detail),
    "messages[].content[].input_audio.format": ("wav", "mp3"),
    "messages[].content[].type": (
        "text",
        "image_url, file (user and tool messages)",
        "input_audio (user messages)",
        "refusal (assistant messages)",
    ),
    "messages[].tool_calls[].type": ("function", "custom"),
    "modalities[]": ("text", "audio"),
    "prediction.type": ("content",),
    "reasoning_effort": get_args(Effort),
    "response_format.type": get_args(FormatType),
    "service_tier": get_args(Tier),
    "verbosity": get_args(Level),
    "web_search_options.search_context_size": get_args(Level),
}


def read(value: object, form: type[T], *, at: str) -> T:
    """Return `value` as a `form`; `at` is where in the request it stands.

    Raises:
        InvalidRequest: It is no `form`; `param` is the full path.
    """
    try:
        return msgspec.convert(value, form)
    except msgspec.ValidationError as error:
        raise violation(error, at=at) from None


def violation(error: msgspec.ValidationError, *, at: str = "") -> InvalidRequest:
    """Return the answer to a request in which msgspec found `error`."""
    report = str(error)
    found = _AT.search(report)
    path = at + (found[1] if found else "")
    path = path.removesuffix("[...]").removeprefix(".")
    sentence = report[: found.start()] if found else report
    if missing := _MISSING.match(sentence):
        path = f"{path}.{missing[1]}" if path else missing[1]
        return missing_field(path)
    if not path:
        return InvalidRequest(f"The request body must be a JSON object. {sentence}.")
    if types := _TYPES.match(sentence):
        expected = " or ".join(_WORDS.get(word, word) for word in types[1].split(" | "))
        got = _WORDS.get(types[2], types[2])
        return InvalidRequest(
            f"Invalid type for '{path}': expected {expected}, but got {got} instead.", param=path
        )
    if sentence.startswith(("Invalid value", "Invalid enum value")):
        return unsupported_value(path, sentence.partition(" '")[2][:-1])
    sentence = _PATTERNS.get(sentence) or _NAMES.sub(_word, sentence[0].lower() + sentence[1:])
    return InvalidRequest(f"Invalid value for '{path}': {sentence}.", param=path)


def missing_field(path: str) -> InvalidRequest:
    """Return the answer to a request that lacks the field at `path`."""
    return InvalidRequest(f"Missing required parameter: '{path}'.", param=path)


def unsupported_value(
    path: str, value: str, supported: tuple[str, ...] | None = None
) -> InvalidRequest:
    """Return the answer to a request whose field at `path` has a word that isn't one of its words.

    Without `supported`, the words are looked up by the path.
    """
    words = supported or _SUPPORTED.get(_INDEX.sub("[]", path), ())
    listed = f" Supported values are: {', '.join(words)}." if words else ""
    quoted = value if len(value) <= _QUOTE_CHARS_MAX else value[:_QUOTE_CHARS_MAX] + "..."
    return InvalidRequest(f"Invalid value for '{path}': '{quoted}'.{listed}", param=path)


def unsupported_field(path: str, reason: str) -> InvalidRequest:
    """Return the answer to a request that asks for what no Codex account can give."""
    return InvalidRequest(
        f"Unsupported parameter: '{path}'. {reason}", param=path, code=UNSUPPORTED
    )


def _word(found: re.Match[str]) -> str:
    return _WORDS.get(found[1], found[0])
