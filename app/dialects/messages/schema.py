"""The form of a Messages request, as msgspec structs.

Structs are projections: a field that is not declared here is skipped, never refused, so that what
clients and betas add tomorrow passes (`cache_control` and the like are never even seen). A
declared field is checked for type and range while the JSON is read. Nothing here says what a
field means upstream.
"""

from typing import Annotated, Final, Literal, TypeAlias

from msgspec import Meta, Struct

NAME_PATTERN: Final = r"^[a-zA-Z0-9_-]{1,128}\Z"
STOP_SEQUENCES_MAX: Final = 64

Shown: TypeAlias = Literal["nothing", "seals", "all"]
"""How much of what a model thinks its caller gets."""
Json: TypeAlias = dict[str, object]
Name: TypeAlias = Annotated[str, Meta(pattern=NAME_PATTERN)]
Id: TypeAlias = Annotated[str, Meta(min_length=1, max_length=512)]


class Base64Source(Struct, frozen=True, tag_field="type", tag="base64"):
    """The thing itself."""

    media_type: str
    data: str


class UrlSource(Struct, frozen=True, tag_field="type", tag="url"):
    """Where the thing is on the web."""

    url: Annotated[str, Meta(pattern=r"^https?://")]


class FileSource(Struct, frozen=True, tag_field="type", tag="file"):
    """A thing that was uploaded before."""

    file_id: str


class TextSource(Struct, frozen=True, tag_field="type", tag="text"):
    """A document of plain text."""

    data: str
    media_type: str = "text/plain"


class TextBlock(Struct, frozen=True, tag_field="type", tag="text"):
    """Words."""

    text: str


class ImageBlock(Struct, frozen=True, tag_field="type", tag="image"):
    """An image."""

    source: Base64Source | UrlSource | FileSource


class ContentSource(Struct, frozen=True, tag_field="type", tag="content"):
    """A document made of blocks."""

    content: str | list[TextBlock | ImageBlock]


class DocumentBlock(Struct, frozen=True, tag_field="type", tag="document"):
    """A document."""

    source: Base64Source | UrlSource | FileSource | TextSource | ContentSource
    title: str | None = None
    context: str | None = None


class SearchResultBlock(Struct, frozen=True, tag_field="type", tag="search_result"):
    """What the caller's own search has found."""

    source: str
    title: str
    content: list[TextBlock]


class ToolReferenceBlock(Struct, frozen=True, tag_field="type", tag="tool_reference"):
    """A tool that a search for tools has found."""

    tool_name: str


class ThinkingBlock(Struct, frozen=True, tag_field="type", tag="thinking"):
    """What the model thought in an earlier turn, and the seal on it."""

    thinking: str
    signature: str = ""


class RedactedThinkingBlock(Struct, frozen=True, tag_field="type", tag="redacted_thinking"):
    """What the model thought and nobody may read."""

    data: str


class ToolUseBlock(Struct, frozen=True, tag_field="type", tag="tool_use"):
    """A call of the past."""

    id: Id
    name: Annotated[str, Meta(min_length=1)]
    input: Json


ResultBlock: TypeAlias = (
    TextBlock | ImageBlock | DocumentBlock | SearchResultBlock | ToolReferenceBlock
)


class ToolResultBlock(Struct, frozen=True, tag_field="type", tag="tool_result"):
    """What a called tool gave back."""

    tool_use_id: Id
    content: str | list[ResultBlock] | None = None
    is_error: bool | None = None


class ServerToolUseBlock(Struct, frozen=True, tag_field="type", tag="server_tool_use"):
    """A call that the other side made and answered itself."""

    name: str = ""


class WebSearchResultBlock(Struct, frozen=True, tag_field="type", tag="web_search_tool_result"):
    """What such a search has found."""


class WebFetchResultBlock(Struct, frozen=True, tag_field="type", tag="web_fetch_tool_result"):
    """What such a fetch has brought."""


class CodeResultBlock(Struct, frozen=True, tag_field="type", tag="code_execution_tool_result"):
    """What such a program has printed."""


class BashResultBlock(Struct, frozen=True, tag_field="type", tag="bash_code_execution_tool_result"):
    """What such a command has printed."""


class EditorResultBlock(
    Struct, frozen=True, tag_field="type", tag="text_editor_code_execution_tool_result"
):
    """What such an editor has done."""


class ToolSearchResultBlock(Struct, frozen=True, tag_field="type", tag="tool_search_tool_result"):
    """Which tools such a search has found."""


class McpUseBlock(Struct, frozen=True, tag_field="type", tag="mcp_tool_use"):
    """A call of a remote server's tool, made by the other side."""


class McpResultBlock(Struct, frozen=True, tag_field="type", tag="mcp_tool_result"):
    """What it gave back."""


class ContainerUploadBlock(Struct, frozen=True, tag_field="type", tag="container_upload"):
    """A file for a container that the other side would run."""

    file_id: str = ""


ServerBlock: TypeAlias = (
    ServerToolUseBlock
    | WebSearchResultBlock
    | WebFetchResultBlock
    | CodeResultBlock
    | BashResultBlock
    | EditorResultBlock
    | ToolSearchResultBlock
    | McpUseBlock
    | McpResultBlock
)
Block: TypeAlias = (
    ResultBlock
    | ThinkingBlock
    | RedactedThinkingBlock
    | ToolUseBlock
    | ToolResultBlock
    | ServerBlock
    | ContainerUploadBlock
)


class Message(Struct, frozen=True):
    """One turn."""

    role: Literal["user", "assistant", "system"]
    content: str | list[Block]


class Thinking(Struct, frozen=True):
    """Whether and how long the model is to think, and who may read it."""

    type: Literal["enabled", "adaptive", "disabled"]
    budget_tokens: int | None = None
    display: Literal["summarized", "omitted"] | None = None


class Format(Struct, frozen=True):
    """The form that the answer is to have."""

    type: Literal["json_schema"]
    schema: Json


class OutputConfig(Struct, frozen=True):
    """How the answer is to be made."""

    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: Format | None = None


class Metadata(Struct, frozen=True):
    """Who is behind the caller."""

    user_id: str | None = None


class ToolChoice(Struct, frozen=True):
    """Whether a tool is to be called, and which."""

    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class MessagesRequest(Struct, frozen=True):
    """The body of `POST /v1/messages`; for counting, `max_tokens` may be missing."""

    model: str
    messages: Annotated[list[Message], Meta(min_length=1, max_length=100_000)]
    max_tokens: Annotated[int, Meta(ge=0)] | None = None
    system: str | list[TextBlock] | None = None
    stream: bool | None = None
    tools: list[Json] | None = None
    tool_choice: ToolChoice | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None
    output_format: Format | None = None
    stop_sequences: Annotated[list[str], Meta(max_length=STOP_SEQUENCES_MAX)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    metadata: Metadata | None = None
    speed: Literal["standard", "fast"] | None = None
