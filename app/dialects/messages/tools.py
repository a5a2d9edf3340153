"""A Messages request's tools and its choice among them, said in Responses. Pure.

A caller's own tools become functions. Tools that Anthropic has trained its models on and the
caller runs (a shell, an editor, a memory) are functions of a known form. Tools that the other
side would run are said in Responses where it has the same (web search), are needless where every
tool is shown anyway (the search for tools), and are refused by name otherwise.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta, Struct

from app.dialects.chat.names import short_name
from app.dialects.chat.parameters import clean
from app.dialects.chat.schema import TOOLS_MAX
from app.dialects.messages.known_tools import KNOWN
from app.dialects.messages.schema import Json, Name, ToolChoice
from app.dialects.messages.violations import unsupported, wrong
from app.wire.violations import violation

T = TypeVar("T")

WEB_SEARCH: Final = "web_search"
SEARCH_SOURCES: Final = "web_search_call.action.sources"

_VERSION: Final = re.compile(r"_\d{8}\Z")
_NEEDLESS: Final = ("tool_search_tool_regex", "tool_search_tool_bm25")
_WORDS: Final = {"auto": "auto", "any": "required", "none": "none"}


class Toolbox(Struct, frozen=True):
    """The tools of one request in Responses' form, and what replies must restore."""

    tools: Sequence[Json]
    names: Mapping[str, str]
    """Shortened name to the caller's name, only where they differ."""
    searches: bool = False
    """The upstream may search the web."""


class _Custom(Struct, frozen=True):
    """A tool of the caller's own."""

    name: Name
    input_schema: Json
    description: str | None = None


class _Named(Struct, frozen=True):
    """A tool of a known form."""

    name: Name


class _Search(Struct, frozen=True):
    """A search of the web; how often it is used is for the model to decide."""

    allowed_domains: Annotated[list[str], Meta(max_length=1_000)] | None = None
    blocked_domains: list[str] | None = None
    user_location: Json | None = None


def toolbox(tools: Sequence[Json] | None) -> Toolbox:
    """Return the tools that a request brings.

    Raises:
        InvalidRequest: A tool lacks something, stands there twice, or can't be had here.
    """
    given = tools or ()
    if len(given) > TOOLS_MAX:
        raise wrong("tools", f"At most {TOOLS_MAX} are allowed, but there are {len(given)}.")
    said: list[Json] = []
    names: dict[str, str] = {}
    seen: set[str] = set()
    for index, tool in enumerate(given):
        item = _tool(tool, f"tools[{index}]")
        if item is None:
            continue
        name = str(item.get("name", item["type"]))
        if name in seen:
            raise wrong(f"tools[{index}].name", "Tool names must be unique.")
        seen.add(name)
        if "name" in item:
            item["name"] = short_name(name)
            if item["name"] != name:
                names[short_name(name)] = name
        said.append(item)
    return Toolbox(said, names, any(tool["type"] == WEB_SEARCH for tool in said))


def tool_fields(choice: ToolChoice | None, box: Toolbox) -> Json:
    """Return the fields about tools; none if there are no tools to speak of.

    Raises:
        InvalidRequest: The choice names no tool of the request.
    """
    if not box.tools:
        if choice is not None and choice.type in ("any", "tool"):
            raise wrong("tool_choice", "A tool is to be called, but the request has no tools.")
        return {}
    fields: Json = {"tools": box.tools}
    if choice is None:
        return fields
    fields["tool_choice"] = _choice(choice, box)
    if choice.disable_parallel_tool_use is not None:
        fields["parallel_tool_calls"] = not choice.disable_parallel_tool_use
    return fields


def _choice(choice: ToolChoice, box: Toolbox) -> str | Json:
    if choice.type != "tool":
        return _WORDS[choice.type]
    if not choice.name:
        raise wrong("tool_choice.name", "Field required.")
    if choice.name == WEB_SEARCH and box.searches:
        return {"type": WEB_SEARCH}
    name = short_name(choice.name)
    if not any(tool.get("name") == name for tool in box.tools):
        raise wrong("tool_choice.name", f"Tool '{choice.name[:64]}' not found in provided tools.")
    return {"type": "function", "name": name}


def _tool(tool: Json, at: str) -> Json | None:
    """Return one tool in Responses' form, its name as the caller has it; None if it is needless."""
    kind = tool.get("type", "custom")
    if kind is None or kind == "custom":
        custom = _read(tool, _Custom, at)
        return _function(custom.name, custom.description, _schema(custom.input_schema, at))
    if not isinstance(kind, str):
        raise wrong(f"{at}.type", "Input should be a string.")
    base = _VERSION.sub("", kind)
    if base == WEB_SEARCH:
        return _search(_read(tool, _Search, at), at)
    if base in _NEEDLESS:
        return None
    known = KNOWN.get(base)
    if known is None:
        raise unsupported(
            f"{at}.type",
            f"Tools of the type '{kind[:64]}' are not available on this gateway: only tools of"
            f" your own, {', '.join([*KNOWN, WEB_SEARCH])} are.",
        )
    description, schema = known
    return _function(_read(tool, _Named, at).name, description, schema)


def _function(name: str, description: str | None, schema: Json) -> Json:
    """Return a function; `strict` is always said, since left out it means yes in Responses."""
    fields: Json = {"type": "function", "name": name}
    if description is not None:
        fields["description"] = description
    return fields | {"parameters": clean(schema), "strict": False}


def _schema(schema: Json, at: str) -> Json:
    if schema.get("type", "object") != "object":
        raise wrong(f"{at}.input_schema.type", "Input should be 'object'.")
    for field, form, words in (("properties", dict, "an object"), ("required", list, "an array")):
        if not isinstance(schema.get(field, form()), form):
            raise wrong(f"{at}.input_schema.{field}", f"Input should be {words}.")
    return schema


def _search(search: _Search, at: str) -> Json:
    if search.blocked_domains:
        raise unsupported(
            f"{at}.blocked_domains", "Single domains can't be kept out of a search: leave it out."
        )
    tool: Json = {"type": WEB_SEARCH}
    if search.allowed_domains:
        tool["filters"] = {"allowed_domains": search.allowed_domains}
    if search.user_location:
        tool["user_location"] = search.user_location
    return tool


def _read(tool: Json, form: type[T], at: str) -> T:
    try:
        return msgspec.convert(tool, form)
    except msgspec.ValidationError as error:
        raise violation(error, at=at) from None
