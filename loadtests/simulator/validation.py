"""The backend's rules for a request, each with the exact refusal it gives.

`check` walks the rules in order and returns the first refusal, or None. Pure: what is allowed
depends only on the body, the account's owner of sealed content, and the model's entry.
"""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import orjson

from loadtests.simulator.errors import (
    Refusal,
    detail,
    invalid_encrypted_content,
    model_unsupported,
    problem,
)
from loadtests.simulator.manifest import Model

NAME_CHARS_MAX = 64
TOOLS_MAX = 128
PARAMETERS = {
    "model", "instructions", "input", "tools", "tool_choice", "parallel_tool_calls", "reasoning",
    "store", "stream", "include", "service_tier", "prompt_cache_key", "text", "client_metadata",
    "stream_options", "access_programs",
}  # fmt: skip
WS_PARAMETERS = PARAMETERS | {"type", "previous_response_id", "generate", "stream_id"}
COMPACT_PARAMETERS = {
    "model", "input", "instructions", "tools", "parallel_tool_calls", "reasoning",
    "service_tier", "prompt_cache_key", "text",
}  # fmt: skip
TOOL_TYPES = {
    "function", "custom", "web_search", "web_search_preview", "image_generation", "local_shell",
    "tool_search", "namespace", "file_search", "code_interpreter", "computer_use_preview", "mcp",
    "shell", "apply_patch",
}  # fmt: skip
_PREFIXES = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "custom_tool_call": "ctc",
    "web_search_call": "ws",
    "image_generation_call": "ig",
}
_PAIRS = {
    "function_call": ("function_call_output", "function call"),
    "local_shell_call": ("local_shell_call_output", "local shell call"),
    "custom_tool_call": ("custom_tool_call_output", "custom tool call"),
    "tool_search_call": ("tool_search_output", "tool search call"),
}
_JSON_WORD = (
    "Response input messages must contain the word 'json' in some form to use 'text.format' of "
    "type 'json_object'."
)
_LITE_MISMATCH = "This model is not supported when using X-OpenAI-Internal-Codex-Responses-Lite"


class Subject(msgspec.Struct, frozen=True):
    """A request under check."""

    body: dict[str, Any]
    account: str
    entitled: bool
    model: Model | None
    lite: bool
    transport: str
    owner_of: Callable[[str], str | None]
    known_outputs: frozenset[str] = frozenset()


def check(subject: Subject) -> Refusal | None:
    """The first rule's refusal that the request earns, or None when it is in order."""
    for rule in _RULES:
        refusal = rule(subject)
        if refusal is not None:
            return refusal
    return None


def _parameters(subject: Subject) -> Refusal | None:
    allowed = {"ws": WS_PARAMETERS, "compact": COMPACT_PARAMETERS}.get(
        subject.transport, PARAMETERS
    )
    for name in subject.body:
        if name not in allowed:
            return detail(400, f"Unsupported parameter: {name}")
    options = subject.body.get("stream_options")
    for name in options if isinstance(options, dict) else ():
        if name != "reasoning_summary_delivery":
            return detail(400, f"Unsupported parameter: stream_options.{name}")
    return None


def _switches(subject: Subject) -> Refusal | None:
    body = subject.body
    if subject.transport != "compact":
        if body.get("store") is not False:
            return detail(400, "Store must be set to false")
        if body.get("stream") is not True and subject.transport == "http":
            return detail(400, "Stream must be set to true")
    if not isinstance(body.get("input"), list):
        return detail(400, "Input must be a list")
    if not isinstance(body.get("instructions"), str) and not subject.lite:
        return detail(400, "Instructions are required")
    return None


def _model(subject: Subject) -> Refusal | None:
    slug = str(subject.body.get("model"))
    if subject.model is None or not subject.entitled:
        return model_unsupported(slug)
    if subject.lite and not subject.model.lite:
        return problem(400, _LITE_MISMATCH, code="unsupported_value", kind=None, param="model")
    reasoning = subject.body.get("reasoning")
    effort = reasoning.get("effort") if isinstance(reasoning, dict) else None
    if effort is not None and (effort == "ultra" or not subject.model.supports(effort)):
        known = ", ".join(f"'{one}'" for one in subject.model.efforts if one != "ultra")
        text = f"Invalid value: '{effort}'. Supported values are: {known}."
        return problem(400, text, code="unsupported_value", param="reasoning.effort")
    return None


def _roles(subject: Subject) -> Refusal | None:
    for item in _input(subject):
        if item.get("role") == "system":
            return detail(400, "System messages are not allowed")
    return None


def _tools(subject: Subject) -> Refusal | None:
    declared = subject.body.get("tools") or []
    if len(declared) > TOOLS_MAX:
        text = (
            f"Invalid 'tools': array too long. Expected an array with maximum length {TOOLS_MAX}, "
            f"but got an array with length {len(declared)} instead."
        )
        return problem(400, text, code="array_above_max_length", param="tools")
    for number, tool in enumerate(declared):
        kind = tool.get("type") if isinstance(tool, dict) else None
        if kind not in TOOL_TYPES:
            return detail(400, f"Unsupported tool type: {kind}")
        if kind == "image_generation" and subject.lite:
            return detail(400, f"Unsupported tool type: {kind}")
        refusal = _too_long(f"tools[{number}].name", tool.get("name"))
        if refusal is not None:
            return refusal
    return None


def _items(subject: Subject) -> Refusal | None:
    items = list(_input(subject))
    for number, item in enumerate(items):
        refusal = _one_item(subject, item, number)
        if refusal is not None:
            return refusal
        if item.get("type") == "compaction_trigger" and number != len(items) - 1:
            text = "Invalid 'input': 'compaction_trigger' must be the last item."
            return problem(400, text, param="input")
    return None


def _one_item(subject: Subject, item: dict[str, Any], number: int) -> Refusal | None:
    kind = str(item.get("type", "message"))
    prefix = _PREFIXES.get(kind)
    item_id = item.get("id")
    if prefix is not None and item_id is not None and not str(item_id).startswith(prefix):
        text = (
            f"Invalid 'input[{number}].id': '{item_id}'. "
            f"Expected an ID that begins with '{prefix}'."
        )
        return problem(400, text, code="invalid_value", param=f"input[{number}].id")
    for field in ("name", "call_id"):
        if field in item and (refusal := _too_long(f"input[{number}].{field}", item[field])):
            return refusal
    if kind == "function_call" and not isinstance(item.get("arguments"), str):
        text = f"Invalid type for 'input[{number}].arguments': expected a string."
        return problem(400, text, code="invalid_type", param=f"input[{number}].arguments")
    sealed = item.get("encrypted_content")
    if sealed and subject.owner_of(str(sealed)) != subject.account:
        return invalid_encrypted_content()
    return None


def _pairing(subject: Subject) -> Refusal | None:
    items = list(_input(subject))
    for kind, (output_kind, words) in _PAIRS.items():
        called = {str(item.get("call_id")) for item in items if item.get("type") == kind}
        answered = {str(item.get("call_id")) for item in items if item.get("type") == output_kind}
        for call_id in sorted(called - answered):
            return problem(400, f"No tool output found for {words} {call_id}.", param="input")
        for call_id in sorted(answered - called - subject.known_outputs):
            text = f"No tool call found for {words} output with call_id {call_id}."
            return problem(400, text, param="input")
    return None


def _json_mode(subject: Subject) -> Refusal | None:
    text = subject.body.get("text")
    form = text.get("format") if isinstance(text, dict) else None
    if not isinstance(form, dict) or form.get("type") != "json_object":
        return None
    if b"json" in orjson.dumps(subject.body.get("input")).lower():
        return None
    return problem(400, _JSON_WORD, param="input")


_RULES: tuple[Callable[[Subject], Refusal | None], ...] = (
    _switches,
    _parameters,
    _model,
    _roles,
    _tools,
    _items,
    _pairing,
    _json_mode,
)


def _input(subject: Subject) -> Iterator[dict[str, Any]]:
    items = subject.body.get("input")
    yield from (item for item in items or () if isinstance(item, dict))


def _too_long(path: str, value: Any) -> Refusal | None:
    if not isinstance(value, str) or len(value) <= NAME_CHARS_MAX:
        return None
    text = (
        f"Invalid '{path}': string too long. Expected a string with maximum length "
        f"{NAME_CHARS_MAX}, but got a string with length {len(value)} instead."
    )
    return problem(400, text, code="string_above_max_length", param=path)
