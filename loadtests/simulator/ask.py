"""What a request asks for, whichever form it came in: the facts that choose the answer.

`Ask` is read from a Responses or a Chat body without judging it; `validation` judges. Bodies that
are nonsense give an empty `Ask`, never an exception.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

OUTPUT_TYPES = {
    "function_call_output",
    "custom_tool_call_output",
    "local_shell_call_output",
    "tool_search_output",
    "mcp_tool_call_output",
}


class Tool(msgspec.Struct, frozen=True):
    """A tool that may be called; `kind` is the wire's `type`."""

    kind: str
    name: str
    schema: dict[str, Any] = {}


class Ask(msgspec.Struct):
    """The facts of one request."""

    text: str = ""
    ends_with_user: bool = False
    tools: list[Tool] = []
    choice: str = "auto"
    outputs: list[str] = []
    image_sizes: list[int] = []
    json_schema: dict[str, Any] | None = None
    json_object: bool = False
    effort: str | None = None
    sealed: bool = False
    compaction: bool = False
    parallel: bool = True


def from_responses(body: dict[str, Any]) -> Ask:
    """The facts of a Responses body."""
    raw = body.get("input")
    items = [{"role": "user", "content": raw}] if isinstance(raw, str) else raw
    items = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    ask = Ask()
    _read_tail(ask, items)
    declared = list(_dicts(body.get("tools")))
    for item in items:
        if item.get("type") == "additional_tools":
            declared += _dicts(item.get("tools"))
    ask.tools = [_tool(one) for one in _unpacked(declared)]
    ask.choice = _choice(body.get("tool_choice"))
    reasoning = body.get("reasoning")
    ask.effort = reasoning.get("effort") if isinstance(reasoning, dict) else None
    ask.sealed = "reasoning.encrypted_content" in (body.get("include") or ())
    ask.compaction = bool(items) and items[-1].get("type") == "compaction_trigger"
    ask.parallel = body.get("parallel_tool_calls") is not False
    text = body.get("text")
    _read_format(ask, text.get("format") if isinstance(text, dict) else None)
    return ask


def from_chat(body: dict[str, Any]) -> Ask:
    """The facts of a Chat Completions body."""
    items = []
    for message in _dicts(body.get("messages")):
        if message.get("role") == "tool":
            items.append({"type": "function_call_output", "output": message.get("content")})
        else:
            items.append(message)
    ask = Ask()
    _read_tail(ask, items)
    tools = [one.get("function", {}) for one in _dicts(body.get("tools"))]
    ask.tools = [
        Tool("function", one.get("name", ""), one.get("parameters") or {}) for one in tools
    ]
    ask.choice = _choice(body.get("tool_choice"))
    ask.effort = body.get("reasoning_effort")
    ask.parallel = body.get("parallel_tool_calls") is not False
    form = body.get("response_format")
    if isinstance(form, dict) and form.get("type") == "json_schema":
        form = {"type": "json_schema", **(form.get("json_schema") or {})}
    _read_format(ask, form)
    return ask


def text_of(content: Any) -> str:
    """The text of a message's content or a tool's output, whatever its form."""
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in _dicts(content) if isinstance(part.get("text"), str))


def _read_tail(ask: Ask, items: list[dict[str, Any]]) -> None:
    """The last user message, its images, and the tool outputs that came after it."""
    for item in reversed(items):
        if item.get("type") in OUTPUT_TYPES:
            ask.outputs.insert(0, text_of(item.get("output")))
        elif item.get("role") == "user":
            ask.text = text_of(item.get("content"))
            ask.image_sizes = list(_images(item.get("content")))
            ask.ends_with_user = not ask.outputs
            return
        elif item.get("role") == "assistant" and "content" in item and not ask.outputs:
            return


def _images(content: Any) -> Iterator[int]:
    for part in _dicts(content):
        if part.get("type") not in {"input_image", "image_url"}:
            continue
        url = part.get("image_url")
        url = url.get("url") if isinstance(url, dict) else url
        data = str(url or "")
        encoded = data.partition("base64,")[2].rstrip("=")
        yield len(encoded) * 3 // 4 if encoded else len(data)


def _unpacked(declared: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The tools, those of namespaces among them."""
    for one in declared:
        if one.get("type") == "namespace":
            yield from _dicts(one.get("tools"))
        else:
            yield one


def _tool(declared: dict[str, Any]) -> Tool:
    kind = str(declared.get("type", ""))
    schema = declared.get("parameters")
    return Tool(kind, str(declared.get("name", kind)), schema if isinstance(schema, dict) else {})


def _choice(choice: Any) -> str:
    if isinstance(choice, str):
        return choice
    if isinstance(choice, dict):
        named = choice.get("function") if isinstance(choice.get("function"), dict) else choice
        return str(named.get("name") or named.get("type") or "auto") if named else "auto"
    return "auto"


def _read_format(ask: Ask, form: Any) -> None:
    if not isinstance(form, dict):
        return
    if form.get("type") == "json_schema":
        ask.json_schema = form.get("schema") or {}
    ask.json_object = form.get("type") == "json_object"


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, list):
        yield from (one for one in value if isinstance(one, dict))
