"""Input items as the Codex backend takes them.

Callers of the public API send shapes that the backend refuses: bare strings, system messages,
ids, chat's own tool messages, calls without outputs. Each item is repaired by itself, then calls
and outputs are paired. An item that needs no repair keeps its bytes, and so does an item of a
kind that nobody knows yet.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeAlias

import msgspec
from msgspec import Raw, Struct

from app.dialects.responses.schema import (
    ChatCallsItem,
    ChatOutputItem,
    Content,
    Known,
    MessageItem,
    OutputItem,
    Part,
    ReasoningItem,
)
from app.errors import CallerError

Encodable: TypeAlias = Raw | dict[str, object]
"""An item as it was, or as it must be."""

NO_OUTPUT: Final = "[no output of this tool call was recorded]"

_MEMBERS: Final = msgspec.json.Decoder(dict[str, Raw])
_PARTS: Final = msgspec.json.Decoder(list[dict[str, Raw]])
_OUTPUT_TYPES: Final[Mapping[str, str]] = {
    "function_call": "function_call_output",
    "custom_tool_call": "custom_tool_call_output",
}
# The output of a local shell call is a function's.
_CALL_TYPES: Final[Mapping[str, frozenset[str]]] = {
    "function_call_output": frozenset({"function_call", "local_shell_call"}),
    "custom_tool_call_output": frozenset({"custom_tool_call"}),
}
_TEXT_TYPES: Final = frozenset({"text", "input_text", "output_text"})


class _CallId(Struct):
    call_id: object = None


class _Entry(Struct):
    """A repaired item, and for a call or an output what pairs it.

    `shown` is what an output says, to be said by the user if its call is missing.
    """

    type: str
    value: Encodable
    call_id: str | None = None
    shown: object = None


def repaired(items: str | list[Known], *, lite: bool = False) -> list[Encodable]:
    """Return the input as a list that the backend takes.

    `lite` also takes out the images' `detail`, which Lite models refuse.

    Raises:
        CallerError: An item refers to a response that isn't stored anywhere.
    """
    return repaired_parts(items, [], lite=lite)[0]


def repaired_parts(
    past: str | list[Known], new: list[Known], *, lite: bool = False
) -> tuple[list[Encodable], list[Encodable]]:
    """Return what two parts of one input become; calls and outputs pair across them.

    Raises: as `repaired`.
    """
    if isinstance(past, str):
        return [message("user", past)], []
    parts = [[e for item in part for e in _entries(item, lite=lite)] for part in (past, new)]
    known = {(entry.type, entry.call_id) for part in parts for entry in part if entry.call_id}
    said, added = ([v for entry in part for v in _paired(entry, known)] for part in parts)
    return said, added


def message(role: str, text: str) -> dict[str, object]:
    """Return a message of one text."""
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}


def says_json(items: str | list[Known]) -> bool:
    """Tell whether a message has the word that the backend wants to see in JSON mode."""
    if isinstance(items, str):
        return "json" in items.lower()
    return any(
        "json" in text.lower()
        for item in items
        if isinstance(item.item, MessageItem | ChatOutputItem)
        for text in _texts(item.item.content)
    )


def _entries(item: Known, *, lite: bool) -> list[_Entry]:
    match item.item:
        case MessageItem() as said:
            return [_Entry("message", _message(item.raw, said, lite=lite))]
        case ChatCallsItem() as said:
            return _chat_calls(item.raw, said, lite=lite)
        case OutputItem() | ChatOutputItem() as given:
            return [_output(item, given, lite=lite)]
        case ReasoningItem(encrypted_content=encrypted) if not encrypted:
            return []
    if item.type == "item_reference":
        raise CallerError(
            "Items of earlier responses are not stored: send the items themselves in 'input'.",
            status=409,
            code="response_context_unavailable",
            param=item.at,
        )
    call_id = msgspec.json.decode(item.raw, type=_CallId).call_id
    paired_by = call_id if isinstance(call_id, str) else None
    return [_Entry(item.type, _without_id(item.raw), paired_by)]


def _message(raw: Raw, said: MessageItem, *, lite: bool) -> Encodable:
    given = _MEMBERS.decode(raw)
    members: dict[str, object] = {"type": "message", **given}
    members.pop("id", None)
    if said.role == "system":
        members["role"] = "developer"
    members["content"] = _content(given["content"], said.content, said.role, lite=lite)
    return raw if members == given else members


def _chat_calls(raw: Raw, said: ChatCallsItem, *, lite: bool) -> list[_Entry]:
    entries = []
    value: Encodable
    if said.content:
        content = _content(_MEMBERS.decode(raw)["content"], said.content, "assistant", lite=lite)
        value = {"type": "message", "role": "assistant", "content": content}
        entries.append(_Entry("message", value))
    for call in said.tool_calls:
        value = {
            "type": "function_call",
            "call_id": call.id,
            "name": call.function.name,
            "arguments": call.function.arguments,
        }
        entries.append(_Entry("function_call", value, call.id))
    return entries


def _output(item: Known, given: OutputItem | ChatOutputItem, *, lite: bool) -> _Entry:
    members: dict[str, object] = {**_MEMBERS.decode(item.raw)}
    if isinstance(given, ChatOutputItem):
        kind, said, call_id = "function_call_output", given.content, given.tool_call_id
        members = {"type": kind, "call_id": call_id, "output": members["content"]}
    else:
        kind, said, call_id = item.type, given.output, given.call_id
    before = members.copy()
    members.pop("id", None)
    raw = members["output"]
    if isinstance(raw, Raw) and not isinstance(said, str):
        members["output"] = _content(raw, said, "tool", lite=lite)
    untouched = members == before and isinstance(given, OutputItem)
    shown = said if isinstance(said, str) else members["output"]
    return _Entry(kind, item.raw if untouched else members, call_id, shown)


def _content(raw: Raw, said: Content, role: str, *, lite: bool) -> Raw | list[dict[str, object]]:
    """Return the parts as the backend takes them; `raw` itself if they are right already."""
    text_type = "output_text" if role == "assistant" else "input_text"
    if isinstance(said, str):
        return [{"type": text_type, "text": said}]
    if not any(_wrong(part, text_type, lite=lite) for part in said):
        return raw
    return [
        _part(members, part, text_type, lite=lite)
        for members, part in zip(_PARTS.decode(raw), said, strict=True)
    ]


def _wrong(part: Part, text_type: str, *, lite: bool) -> bool:
    if part.type in _TEXT_TYPES:
        return part.type != text_type
    return lite and part.detail is not None


def _part(given: dict[str, Raw], part: Part, text_type: str, *, lite: bool) -> dict[str, object]:
    members: dict[str, object] = {**given}
    if part.type in _TEXT_TYPES:
        members["type"] = text_type
    elif lite:
        members.pop("detail", None)
    return members


def _without_id(raw: Raw) -> Encodable:
    members = _MEMBERS.decode(raw)
    if "id" not in members:
        return raw
    return {name: value for name, value in members.items() if name != "id"}


def _paired(entry: _Entry, known: set[tuple[str, str]]) -> Iterator[Encodable]:
    """Yield an item with what it lacks: a call gets an output, an output without call a speaker."""
    callers = _CALL_TYPES.get(entry.type)
    call_id = entry.call_id or ""
    if callers and not any((caller, call_id) in known for caller in callers):
        yield _spoken(entry.shown)
        return
    yield entry.value
    output = _OUTPUT_TYPES.get(entry.type)
    if output and (output, call_id) not in known:
        yield {"type": output, "call_id": call_id, "output": NO_OUTPUT}


def _spoken(shown: object) -> dict[str, object]:
    if isinstance(shown, str):
        return message("user", shown)
    return {"type": "message", "role": "user", "content": shown}


def _texts(content: Content) -> Iterable[str]:
    if isinstance(content, str):
        return (content,)
    return (part.text for part in content if isinstance(part.text, str))
