"""What a simulated reply consists of: the output items that a script can name.

An item is written by a test (knob `items`) or chosen by `script.answer`; `events` turns it into
the events of the wire. Items say what is answered, never how it is cut up or paced.
"""

from typing import Any

import msgspec


class Reasoning(msgspec.Struct, tag="reasoning", forbid_unknown_fields=True):
    """A reasoning item: summary parts, raw text, and content bound to the account."""

    summary: tuple[str, ...] = ("**Reading the request**\n\nA short answer will do.",)
    raw: str | None = None
    encrypted: bool = True


class Message(msgspec.Struct, tag="message", forbid_unknown_fields=True):
    """An assistant message; with `refusal` the text is streamed as a refusal part."""

    text: str = ""
    annotations: list[dict[str, Any]] = []
    phase: str | None = "final_answer"
    refusal: bool = False


class FunctionCall(msgspec.Struct, tag="function_call", forbid_unknown_fields=True):
    """A call of a function tool; `arguments` as an object or as the exact string to send."""

    name: str
    arguments: dict[str, Any] | str = {}
    call_id: str | None = None


class CustomToolCall(msgspec.Struct, tag="custom_tool_call", forbid_unknown_fields=True):
    """A call of a free-form tool."""

    name: str
    input: str = ""
    call_id: str | None = None


class LocalShellCall(msgspec.Struct, tag="local_shell_call", forbid_unknown_fields=True):
    """A call of the built-in `local_shell` tool."""

    command: list[str]
    call_id: str | None = None


class WebSearch(msgspec.Struct, tag="web_search", forbid_unknown_fields=True):
    """A hosted web search with its action: `search`, `open_page` or `find_in_page`."""

    query: str = "codex2api"
    action: str = "search"
    url: str = "https://example.org/"


class Image(msgspec.Struct, tag="image", forbid_unknown_fields=True):
    """A generated image of `size_bytes` bytes, sent as base64 in one event."""

    size_bytes: int = 96
    partials: int = 1
    prompt: str = "A fjord at dawn"


class Compaction(msgspec.Struct, tag="compaction", forbid_unknown_fields=True):
    """An opaque summary of the conversation, bound to the account."""

    note: str = "summary"


Item = (
    Reasoning
    | Message
    | FunctionCall
    | CustomToolCall
    | LocalShellCall
    | WebSearch
    | Image
    | Compaction
)
