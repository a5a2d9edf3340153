"""The form of a Responses request: the fields that we know, and nothing said about others.

Projections: what OpenAI adds tomorrow passes. Only the kinds of items and tools that are named
here are looked into, each by its own form; the others may hold anything under any name. What a
field means, and what the Codex backend makes of it, is not said here.
"""

from collections.abc import Mapping
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from app.errors import InvalidRequest
from app.wire.violations import missing_field, read, unsupported_value, wrong_type

Fields: TypeAlias = dict[str, Raw]

NULL: Final = Raw(b"null")
"""A field that is null, or left out where that means the same."""
ABSENT: Final = Raw(b"")
"""A field that is left out; no JSON looks like this."""

TOOLS_MAX: Final = 128
NAME_CHARS_MAX: Final = 64
EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max", "ultra")
"""Every word for reasoning effort, from the least to the most."""

Effort: TypeAlias = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max", "ultra"]
Level: TypeAlias = Literal["low", "medium", "high"]
Role: TypeAlias = Literal["user", "assistant", "system", "developer"]
Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=NAME_CHARS_MAX)]
CallId: TypeAlias = Annotated[str, Meta(min_length=1, max_length=NAME_CHARS_MAX)]


class Reasoning(Struct):
    """How hard the model thinks, and how much of it is shown."""

    effort: Effort | None = None
    summary: Literal["auto", "concise", "detailed", "none"] | None = None


class TextFormat(Struct):
    """The form that the answer must have."""

    type: Literal["text", "json_object", "json_schema"]
    name: Annotated[str, Meta(max_length=64)] | UnsetType = UNSET
    schema: dict[str, Raw] | UnsetType = UNSET
    strict: bool | None = None
    description: str | None = None


class Text(Struct):
    """What the answer's text is like."""

    format: TextFormat | None = None
    verbosity: Level | None = None


class StreamOptions(Struct):
    """How the stream is delivered."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class Request(Struct):
    """One request. Tools and items are read by `items_of` and `check_tools`."""

    model: str
    input: Raw = ABSENT
    instructions: str | None = None
    tools: list[Raw] | None = None
    tool_choice: Raw = NULL
    parallel_tool_calls: bool | None = None
    max_tool_calls: Annotated[int, Meta(ge=1)] | None = None
    reasoning: Reasoning | None = None
    text: Text | None = None
    include: list[str] | None = None
    service_tier: str | None = None
    stream_options: StreamOptions | None = None
    conversation: Raw = NULL
    prompt: Raw = NULL

    # Checked as the public API checks them, then dropped: the Codex backend has no such knobs.
    max_output_tokens: Annotated[int, Meta(ge=1)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    truncation: Literal["auto", "disabled"] | None = None
    metadata: dict[str, str] | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_retention: str | None = None

    # Chat's spelling of three fields, which callers of both APIs mix up.
    reasoning_effort: Effort | None = None
    verbosity: Level | None = None
    response_format: Raw = NULL


class Part(Struct):
    """One part of a message's content or of a tool's output."""

    type: str
    text: str | UnsetType = UNSET
    image_url: str | None = None
    detail: Literal["auto", "low", "high", "original"] | None = None
    file_id: str | None = None
    file_data: str | None = None
    file_url: str | None = None
    filename: str | None = None
    refusal: str | None = None


Content: TypeAlias = str | list[Part]


class Head(Struct):
    """What tells the items apart."""

    type: str | None = None
    role: str | None = None
    tool_calls: Raw = NULL


class MessageItem(Struct):
    """A message; with `type` left out, its role makes an item one."""

    role: Role
    content: Content
    phase: Literal["commentary", "final_answer"] | None = None


class ReasoningItem(Struct):
    """What the model thought; only the account that made it can read it."""

    encrypted_content: str | None = None
    summary: list[Raw] | None = None


class CallItem(Struct):
    """A function that the model called."""

    call_id: CallId
    name: Name
    arguments: str


class CustomCallItem(Struct):
    """A tool with free-form input that the model called."""

    call_id: CallId
    name: Name
    input: str


class OutputItem(Struct):
    """What a tool that was called gave back."""

    call_id: CallId
    output: Content


class ChatFunction(Struct):
    """What chat says of a function that the model called."""

    name: Name
    arguments: str


class ChatCall(Struct):
    """A call as chat writes it."""

    id: CallId
    function: ChatFunction


class ChatCallsItem(Struct):
    """An assistant's message as chat writes it, its calls inside."""

    tool_calls: list[ChatCall]
    content: Content | None = None


class ChatOutputItem(Struct):
    """What a tool gave back, as chat writes it."""

    tool_call_id: CallId
    content: Content


class FunctionTool(Struct):
    """A function that the model may call."""

    name: Name
    parameters: dict[str, Raw] | None = None
    strict: bool | None = None
    description: str | None = None


class CustomTool(Struct):
    """A tool with free-form input that the model may call."""

    name: Name
    description: str | None = None


Item: TypeAlias = (
    MessageItem
    | ReasoningItem
    | CallItem
    | CustomCallItem
    | OutputItem
    | ChatCallsItem
    | ChatOutputItem
)

_ITEMS: Final[Mapping[str, type[Item]]] = {
    "reasoning": ReasoningItem,
    "function_call": CallItem,
    "custom_tool_call": CustomCallItem,
    "function_call_output": OutputItem,
    "custom_tool_call_output": OutputItem,
}
_TOOLS: Final[Mapping[str, type[FunctionTool] | type[CustomTool]]] = {
    "function": FunctionTool,
    "custom": CustomTool,
}
_MEMBERS: Final = msgspec.json.Decoder(dict[str, Raw])
_CHOICES: Final = ("none", "auto", "required")
_JSON_TYPES: Final[Mapping[bytes, str]] = {
    b'"': "a string",
    b"{": "an object",
    b"[": "an array",
    b"t": "a boolean",
    b"f": "a boolean",
    b"n": "null",
}


class Known(Struct):
    """One input item: its place, its kind, its raw JSON, and its form if the kind is known."""

    index: int
    type: str
    raw: Raw
    item: Item | None = None

    @property
    def at(self) -> str:
        """Where in the request the item stands."""
        return f"input[{self.index}]"


def json_type(value: Raw) -> str:
    """Return the JSON type of `value` in words."""
    return _JSON_TYPES.get(bytes(memoryview(value)[:1]), "a number")


def members_of(value: object) -> dict[str, object]:
    """Return the members of an object, raw or as it must be; none of null or of what is absent."""
    if isinstance(value, dict):
        return dict(value)
    if not isinstance(value, Raw) or value == NULL:
        return {}
    return {**_MEMBERS.decode(value)}


def items_of(value: Raw) -> str | list[Known]:
    """Return `input` with every item's known fields checked.

    Raises:
        InvalidRequest: `input` is neither a string nor a list, or an item has the wrong form.
    """
    if json_type(value) == "a string":
        return read(value, str, at="input")
    if json_type(value) != "an array":
        raise wrong_type("input", "a string or an array", json_type(value))
    items = [_known(index, raw) for index, raw in enumerate(read(value, list[Raw], at="input"))]
    for item in items[:-1]:
        if item.type == "compaction_trigger":
            raise InvalidRequest(
                f"Invalid value for '{item.at}': a compaction trigger must be the last item.",
                param=item.at,
            )
    return items


def check_tools(tools: list[Raw]) -> None:
    """Check the known fields of every tool.

    Raises:
        InvalidRequest: There are too many tools, or one has the wrong form.
    """
    if len(tools) > TOOLS_MAX:
        raise InvalidRequest(
            f"Invalid value for 'tools': expected at most {TOOLS_MAX} tools, got {len(tools)}.",
            param="tools",
        )
    for index, raw in enumerate(tools):
        at = f"tools[{index}]"
        kind = read(raw, Head, at=at).type
        if kind is None:
            raise missing_field(f"{at}.type")
        if form := _TOOLS.get(kind):
            read(raw, form, at=at)


def check_tool_choice(choice: Raw) -> None:
    """Check `tool_choice`.

    Raises:
        InvalidRequest: It is neither one of the three words nor an object with a type.
    """
    if json_type(choice) == "a string":
        word = read(choice, str, at="tool_choice")
        if word not in _CHOICES:
            raise unsupported_value("tool_choice", word, _CHOICES)
    elif json_type(choice) != "an object":
        raise wrong_type("tool_choice", "a string or an object", json_type(choice))
    elif read(choice, Head, at="tool_choice").type is None:
        raise missing_field("tool_choice.type")


def _known(index: int, raw: Raw) -> Known:
    at = f"input[{index}]"
    head = read(raw, Head, at=at)
    if head.type is None and head.role is None:
        raise missing_field(f"{at}.type")
    kind = head.type or "message"
    form = _form(kind, head)
    return Known(index, kind, raw, read(raw, form, at=at) if form else None)


def _form(kind: str, head: Head) -> type[Item] | None:
    if kind != "message":
        return _ITEMS.get(kind)
    if head.role == "tool":
        return ChatOutputItem
    return ChatCallsItem if head.tool_calls != NULL else MessageItem
