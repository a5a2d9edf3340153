"""The form of a Chat Completions request, as msgspec structs.

Structs are projections: a field that is not declared here is skipped, never refused, so what
callers add tomorrow passes. A declared field is checked for type, range and spelling while the
JSON is read; `violations` turns what fails into a path. Fields that are known to Responses but
not to Chat Completions are kept as `object`, because for an ordinary chat request they are
unknown and must not refuse it. Nothing here says what a field means upstream.
"""

from typing import Annotated, Final, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

NAME_PATTERN: Final = r"^[a-zA-Z0-9_-]+\Z"
URL_PATTERN: Final = r"^(?i:https?://|data:)"
TOOLS_MAX: Final = 128

Json: TypeAlias = dict[str, object]
Name: TypeAlias = Annotated[str, Meta(pattern=NAME_PATTERN)]
Id: TypeAlias = Annotated[str, Meta(min_length=1)]
Url: TypeAlias = Annotated[str, Meta(pattern=URL_PATTERN)]
Penalty: TypeAlias = Annotated[float, Meta(ge=-2, le=2)]
Count: TypeAlias = Annotated[int, Meta(ge=1)]

Detail: TypeAlias = Literal["auto", "low", "high", "original"]
Effort: TypeAlias = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max", "ultra"]
Level: TypeAlias = Literal["low", "medium", "high"]
Tier: TypeAlias = Literal["auto", "default", "flex", "scale", "priority", "fast", "ultrafast"]
FormatType: TypeAlias = Literal["text", "json_object", "json_schema"]


class TextPart(Struct, frozen=True, tag_field="type", tag="text"):
    """Words."""

    text: str


class RefusalPart(Struct, frozen=True, tag_field="type", tag="refusal"):
    """Words with which the assistant once declined."""

    refusal: str


class ImageUrl(Struct, frozen=True):
    """Where an image is: a web address or the image itself as a data URL."""

    url: Url
    detail: Detail | None = None


class ImagePart(Struct, frozen=True, tag_field="type", tag="image_url"):
    """An image."""

    image_url: ImageUrl


class FileInput(Struct, frozen=True):
    """A file by content or by id; one of the two must be there."""

    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class FilePart(Struct, frozen=True, tag_field="type", tag="file"):
    """A file."""

    file: FileInput


class AudioInput(Struct, frozen=True):
    """Sound as base64."""

    data: str
    format: Literal["wav", "mp3"]


class AudioPart(Struct, frozen=True, tag_field="type", tag="input_audio"):
    """Sound."""

    input_audio: AudioInput


TextParts: TypeAlias = Annotated[list[TextPart], Meta(min_length=1)]
UserPart: TypeAlias = TextPart | ImagePart | FilePart | AudioPart
ToolPart: TypeAlias = TextPart | ImagePart | FilePart


class FunctionCall(Struct, frozen=True):
    """A function call of the past; `arguments` is JSON in a string."""

    name: Name
    arguments: str = ""


class CustomCall(Struct, frozen=True):
    """A custom tool's call of the past; `input` is free text."""

    name: Name
    input: str = ""


class ToolCall(Struct, frozen=True):
    """One call of the past; `type` says which of the other two is there."""

    id: Id
    type: Literal["function", "custom"] = "function"
    function: FunctionCall | None = None
    custom: CustomCall | None = None


class SystemMessage(Struct, frozen=True, tag_field="role", tag="system"):
    """What the operator says, under its older name."""

    content: str | TextParts
    name: str | None = None


class DeveloperMessage(Struct, frozen=True, tag_field="role", tag="developer"):
    """What the operator says."""

    content: str | TextParts
    name: str | None = None


class UserMessage(Struct, frozen=True, tag_field="role", tag="user"):
    """What the user says and shows."""

    content: str | Annotated[list[UserPart], Meta(min_length=1)]
    name: str | None = None


class AssistantMessage(Struct, frozen=True, tag_field="role", tag="assistant"):
    """What the model answered and called in an earlier turn."""

    content: str | list[TextPart | RefusalPart] | None = None
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None
    function_call: FunctionCall | None = None
    audio: Json | None = None
    name: str | None = None


class ToolMessage(Struct, frozen=True, tag_field="role", tag="tool"):
    """What a called tool gave back."""

    tool_call_id: Id
    content: str | Annotated[list[ToolPart], Meta(min_length=1)]


class FunctionMessage(Struct, frozen=True, tag_field="role", tag="function"):
    """What a called function gave back, in the form before tools."""

    name: Name
    content: str | None


Message: TypeAlias = (
    SystemMessage
    | DeveloperMessage
    | UserMessage
    | AssistantMessage
    | ToolMessage
    | FunctionMessage
)


class FunctionSpec(Struct, frozen=True):
    """A function that the model may call."""

    name: Name
    description: str | None = None
    parameters: Json | None = None
    strict: bool | None = None


class CustomSpec(Struct, frozen=True):
    """A free-text tool that the model may call."""

    name: Name
    description: str | None = None
    format: Json | None = None


class WebSearchOptions(Struct, frozen=True):
    """Asks for web search without naming a tool."""

    search_context_size: Level | None = None
    user_location: Json | None = None


class SchemaFormat(Struct, frozen=True):
    """The JSON schema that an answer must follow."""

    name: Annotated[str, Meta(pattern=NAME_PATTERN, max_length=64)]
    schema: Json
    description: str | None = None
    strict: bool | None = None


class ResponseFormat(Struct, frozen=True):
    """The form that an answer must have."""

    type: FormatType
    json_schema: SchemaFormat | None = None


class StreamOptions(Struct, frozen=True):
    """What a streamed answer carries beside the answer."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class Prediction(Struct, frozen=True, tag_field="type", tag="content"):
    """Text that the caller expects to get back mostly unchanged."""

    content: str | list[TextPart]


class ChatRequest(Struct, frozen=True):
    """One Chat Completions request, its known fields checked."""

    model: Id
    messages: Annotated[list[Message], Meta(min_length=1)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None

    tools: Annotated[list[Json], Meta(max_length=TOOLS_MAX)] | None = None
    tool_choice: str | Json | None = None
    parallel_tool_calls: bool | None = None
    functions: Annotated[list[FunctionSpec], Meta(max_length=TOOLS_MAX)] | None = None
    function_call: str | Json | None = None
    web_search_options: WebSearchOptions | None = None

    response_format: ResponseFormat | None = None
    reasoning_effort: Effort | None = None
    verbosity: Level | None = None
    service_tier: Tier | None = None
    prompt_cache_key: str | None = None

    # Checked as the public API checks them, then dropped: the Codex backend has no such knobs.
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    logit_bias: dict[str, Annotated[float, Meta(ge=-100, le=100)]] | None = None
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    stop: str | Annotated[list[str], Meta(max_length=4)] | None = None
    seed: int | None = None
    user: str | None = None
    store: bool | None = None
    metadata: (
        Annotated[
            dict[
                Annotated[str, Meta(max_length=64)],
                Annotated[str, Meta(max_length=512)],
            ],
            Meta(max_length=16),
        ]
        | None
    ) = None
    prediction: Prediction | None = None
    safety_identifier: str | None = None
    prompt_cache_retention: str | None = None

    # Checked, and refused where they ask for what no Codex account can give.
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    modalities: list[Literal["text", "audio"]] | None = None
    audio: Json | None = None

    # Not Chat Completions, but sent to its address by callers that speak Responses or a
    # neighbouring spelling of "think harder".
    input: object | UnsetType = UNSET
    instructions: object | UnsetType = UNSET
    include: object | UnsetType = UNSET
    text: object | UnsetType = UNSET
    reasoning: object | UnsetType = UNSET
    client_metadata: object | UnsetType = UNSET
    previous_response_id: object | UnsetType = UNSET
    thinking: object | UnsetType = UNSET
    enable_thinking: object | UnsetType = UNSET
