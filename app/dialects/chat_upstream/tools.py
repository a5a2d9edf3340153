"""A Responses request's tools in Chat's words. Pure.

A tool with free-form input becomes a function of one text where the upstream is not OpenAI's own;
`free_form` names those, so that the reply's translator can turn their calls back. Hosted tools
are left out: no such upstream runs them.
"""

from collections.abc import Iterable
from typing import Any, Final

from msgspec import Struct

INPUT: Final = "input"
"""The one parameter of a function that stands for a tool with free-form input."""

_WORDS: Final = ("auto", "none", "required")


class Tools(Struct, frozen=True):
    """The tools as they are sent."""

    tools: list[dict[str, Any]]
    choice: object = None
    """What `tool_choice` is to be, None for nothing."""
    free_form: frozenset[str] = frozenset()


def tools_of(tools: Iterable[dict[str, Any]], choice: object, *, platform: bool) -> Tools:
    """Return the tools and the choice among them as this upstream takes them."""
    sent: list[dict[str, Any]] = []
    free_form: set[str] = set()
    chosen, allowed = _choice(choice)
    for tool in tools:
        kind, name = tool.get("type"), tool.get("name")
        if allowed is not None and (kind, name) not in allowed:
            continue
        if kind == "function":
            sent.append(_function(tool))
        elif kind == "custom" and platform:
            sent.append({"type": "custom", "custom": _members(tool)})
        elif kind == "custom":
            sent.append(_of_one_text(tool))
            free_form.add(str(name))
    named = chosen if isinstance(chosen, dict) else None
    if named is not None:
        chosen = _named(named, sent)
    return Tools(sent, chosen if sent else None, frozenset(free_form))


def _choice(choice: object) -> tuple[object, set[tuple[object, object]] | None]:
    """Return the choice, and the kinds and names of the only tools that it leaves."""
    if isinstance(choice, str):
        return (choice if choice in _WORDS else None), None
    if not isinstance(choice, dict):
        return None, None
    if choice.get("type") != "allowed_tools":
        return choice, None
    allowed = {(tool.get("type"), tool.get("name")) for tool in choice.get("tools") or ()}
    mode = choice.get("mode")
    return (mode if mode in _WORDS else None), allowed


def _named(choice: dict[str, Any], sent: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the choice of one tool, in the form in which that was sent; None if it was not."""
    for tool in sent:
        kind = tool["type"]
        if tool[kind]["name"] == choice.get("name"):
            return {"type": kind, kind: {"name": choice["name"]}}
    return None


def _function(tool: dict[str, Any]) -> dict[str, Any]:
    function = {"name": tool.get("name"), "parameters": tool.get("parameters") or _NO_PARAMETERS}
    if tool.get("description"):
        function["description"] = tool["description"]
    if tool.get("strict") is True:
        function["strict"] = True
    return {"type": "function", "function": function}


_NO_PARAMETERS: Final = {"type": "object", "properties": {}}


def _members(tool: dict[str, Any]) -> dict[str, Any]:
    form = tool.get("format")
    members = {"name": tool.get("name"), "description": tool.get("description")}
    if isinstance(form, dict) and form.get("type") == "grammar":
        grammar = {"syntax": form.get("syntax"), "definition": form.get("definition")}
        members["format"] = {"type": "grammar", "grammar": grammar}
    return {name: value for name, value in members.items() if value is not None}


def _of_one_text(tool: dict[str, Any]) -> dict[str, Any]:
    """Return a function in place of a tool with free-form input; its grammar is told in words."""
    form = tool.get("format")
    told = str(tool.get("description") or "")
    text: dict[str, Any] = {"type": "string"}
    if isinstance(form, dict) and form.get("definition"):
        text["description"] = f"Text of this {form.get('syntax')} grammar:\n{form['definition']}"
    parameters = {"type": "object", "properties": {INPUT: text}, "required": [INPUT]}
    function = {"name": tool.get("name"), "description": told, "parameters": parameters}
    return {"type": "function", "function": function}
