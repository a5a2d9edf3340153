"""What a Responses request must look like to be said in Chat's words. Pure.

The Codex backend is sent what a caller says and judges it itself; here it is read, so what has
another type than the translation relies on is refused with its place. Only that is checked: what is
unknown, or left out in chat, may be anything.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from app.wire.violations import violation


class _Part(Struct):
    type: str | None = None
    text: str | None = None
    refusal: str | None = None
    image_url: str | None = None
    detail: str | None = None


class _Tool(Struct):
    type: str | None = None
    name: str | None = None
    description: str | None = None


class _Choice(Struct):
    type: str | None = None
    name: str | None = None
    mode: str | None = None
    tools: list[_Tool] | None = None


class _Item(Struct):
    type: str | None = None
    role: str | None = None
    content: str | list[_Part] | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    input: str | None = None
    output: str | list[_Part] | dict[str, object] | None = None
    tools: list[_Tool] | None = None


class _Text(Struct):
    format: dict[str, object] | None = None


class _Reasoning(Struct):
    effort: str | None = None


class _Request(Struct):
    instructions: str | None = None
    input: str | list[_Item] | None = None
    tools: list[_Tool] | None = None
    tool_choice: str | _Choice | None = None
    text: _Text | None = None
    reasoning: _Reasoning | None = None


def check(asked: Mapping[str, object]) -> None:
    """Return if a request can be read.

    Raises:
        InvalidRequest: Something in it has a type that it can't have; `param` is its path.
    """
    try:
        msgspec.convert(asked, _Request)
    except msgspec.ValidationError as error:
        raise violation(error) from None
