"""A chat request's tools and its choice among them, said in Responses.

Chat nests a tool's fields under its type, Responses has them flat, and callers mix both; either
is read. Names that are too long are shortened, and a `Toolbox` remembers the callers' names so
that replies can restore them. Calls of the past are the business of `messages`.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from app.dialects.chat.names import short_name
from app.dialects.chat.parameters import clean
from app.dialects.chat.schema import (
    TOOLS_MAX,
    ChatRequest,
    CustomSpec,
    FunctionSpec,
    Json,
    WebSearchOptions,
)
from app.dialects.chat.violations import missing_field, read, unsupported_value
from app.errors import InvalidRequest

_NAMED: Final = ("function", "custom")
_WEB_SEARCH: Final = "web_search"
_HOSTED: Final = (
    "apply_patch",
    "code_interpreter",
    "computer",
    "computer_use_preview",
    "file_search",
    "image_generation",
    "local_shell",
    "mcp",
    "namespace",
    "shell",
    "tool_search",
)
_CHOICES: Final = ("none", "auto", "required")


class Toolbox(Struct, frozen=True):
    """The tools of one request in Responses' form, and what replies must restore."""

    tools: Sequence[Json]
    names: Mapping[str, str]
    """Shortened name to the caller's name, only where they differ."""
    legacy: bool
    """The caller speaks `functions`, so a call is answered as `function_call`."""


class _Named(Struct, frozen=True):
    """The one field that a choice of one tool has."""

    name: str


class _Allowed(Struct, frozen=True):
    """The fields of a choice among several tools."""

    mode: str
    tools: list[Json]


def toolbox(request: ChatRequest, *, known_types_only: bool) -> Toolbox:
    """Return the tools that `request` brings, in whichever of the three fields.

    With `known_types_only`, a tool type that neither chat nor Responses has is refused here;
    without it the upstream is left to judge.

    Raises:
        InvalidRequest: A tool has no type, no name or a wrong field.
    """
    given = request.tools or []
    collected = _Collected()
    for index, tool in enumerate(given):
        collected.add(tool, f"tools[{index}]")
    if known_types_only:
        _refuse_unknown_types(collected.tools)
    for spec in request.functions or ():
        collected.add_function(spec)
    if request.web_search_options and not _has(collected.tools, _WEB_SEARCH):
        collected.tools.append(_search(request.web_search_options))
    if (count := len(collected.tools)) > TOOLS_MAX:
        raise InvalidRequest(
            f"Invalid 'tools': at most {TOOLS_MAX} are allowed, but the request has {count}.",
            param="tools",
        )
    legacy = not given and bool(request.functions)
    return Toolbox(collected.tools, collected.names, legacy)


def tool_choice(request: ChatRequest, tools: Sequence[Json]) -> str | Json | None:
    """Return the choice among `tools` in Responses' form; None if the caller made none.

    Raises:
        InvalidRequest: The choice names no tool of the request, or is none of the known ones.
    """
    choice, at = request.tool_choice, "tool_choice"
    if choice is None and request.function_call is not None:
        choice, at = request.function_call, "function_call"
        if isinstance(choice, dict):
            choice = choice | {"type": "function"}
    match choice:
        case None:
            return None
        case str():
            return _word(choice, tools, at)
        case {"type": "allowed_tools"}:
            return _allowed(choice, tools)
        case _:
            return _choice(choice, tools, at)


class _Collected:
    """Tools said flat, and the names that had to be shortened for it."""

    def __init__(self) -> None:
        self.tools: list[Json] = []
        self.names: dict[str, str] = {}

    def add(self, tool: Json, at: str) -> None:
        """Append one tool, its schema cleaned and its name short."""
        match _type(tool, at):
            case "function":
                inner, path = _fields(tool, "function", at)
                self.add_function(read(inner, FunctionSpec, at=path))
            case "custom":
                inner, path = _fields(tool, "custom", at)
                self._add_custom(read(inner, CustomSpec, at=path))
            case str() as kind if kind.startswith(_WEB_SEARCH):
                self.tools.append(_flat_location(tool) | {"type": _WEB_SEARCH})
            case _:
                self.tools.append(tool)

    def add_function(self, spec: FunctionSpec) -> None:
        """Append a function.

        `strict` is always said: left out it means no in chat and yes in Responses.
        """
        tool = self._named("function", spec)
        tool["parameters"] = clean(spec.parameters)
        tool["strict"] = bool(spec.strict)
        self.tools.append(tool)

    def _add_custom(self, spec: CustomSpec) -> None:
        tool = self._named("custom", spec)
        match spec.format:
            case None:
                pass
            case {"type": "grammar", "grammar": dict() as grammar}:
                tool["format"] = {"type": "grammar"} | grammar
            case form:
                tool["format"] = form
        self.tools.append(tool)

    def _named(self, kind: str, spec: FunctionSpec | CustomSpec) -> Json:
        name = short_name(spec.name)
        if name != spec.name:
            self.names[name] = spec.name
        tool: Json = {"type": kind, "name": name}
        if spec.description is not None:
            tool["description"] = spec.description
        return tool


def _type(tool: Json, at: str) -> str:
    """Return the type of a tool; a function may leave it out."""
    kind = tool.get("type")
    if kind is None and ("function" in tool or "name" in tool):
        return "function"
    if kind is None:
        raise missing_field(f"{at}.type")
    return read(kind, str, at=f"{at}.type")


def _fields(tool: Json, kind: str, at: str) -> tuple[object, str]:
    """Return where a tool keeps its fields, and the path of that place."""
    if kind in tool:
        return tool[kind], f"{at}.{kind}"
    if "name" in tool:
        return tool, at
    raise missing_field(f"{at}.{kind}")


def _has(tools: Sequence[Json], kind: str) -> bool:
    return any(tool["type"] == kind for tool in tools)


def _refuse_unknown_types(tools: Sequence[Json]) -> None:
    known = (*_NAMED, _WEB_SEARCH, *_HOSTED)
    for index, tool in enumerate(tools):
        if (kind := str(tool["type"])) not in known:
            raise unsupported_value(f"tools[{index}].type", kind, known)


def _search(options: WebSearchOptions) -> Json:
    tool: Json = {"type": _WEB_SEARCH}
    if options.search_context_size is not None:
        tool["search_context_size"] = options.search_context_size
    if options.user_location is not None:
        tool["user_location"] = options.user_location
    return _flat_location(tool)


def _flat_location(tool: Json) -> Json:
    """Return a copy whose location is flat: chat nests it under `approximate`."""
    match tool.get("user_location"):
        case {"approximate": dict() as place}:
            return tool | {"user_location": {"type": "approximate"} | place}
        case _:
            return dict(tool)


def _word(choice: str, tools: Sequence[Json], at: str) -> str | None:
    if choice not in _CHOICES:
        raise unsupported_value(at, choice, _CHOICES)
    if tools:
        return choice
    if choice == "required":
        raise InvalidRequest(f"'{at}' is 'required', but the request has no tools.", param=at)
    return None


def _choice(choice: Json, tools: Sequence[Json], at: str) -> Json:
    """Return the choice of one tool flat, once it is sure that the tool is there."""
    kind = _type(choice, at)
    if kind in _NAMED:
        inner, path = _fields(choice, kind, at)
        name = short_name(read(inner, _Named, at=path).name)
        if not any(tool["type"] == kind and tool.get("name") == name for tool in tools):
            raise InvalidRequest(f"'{path}.name' names no {kind} of 'tools'.", param=f"{path}.name")
        return {"type": kind, "name": name}
    if kind.startswith(_WEB_SEARCH):
        kind = _WEB_SEARCH
    if not _has(tools, kind):
        raise InvalidRequest(f"'{at}.type' names no tool of 'tools'.", param=f"{at}.type")
    return choice | {"type": kind}


def _allowed(choice: Json, tools: Sequence[Json]) -> Json:
    """Return the choice among several tools flat."""
    at = "tool_choice"
    inner: object = choice
    if "allowed_tools" in choice:
        inner, at = choice["allowed_tools"], "tool_choice.allowed_tools"
    allowed = read(inner, _Allowed, at=at)
    if allowed.mode not in _CHOICES[1:]:
        raise unsupported_value(f"{at}.mode", allowed.mode, _CHOICES[1:])
    chosen = [
        _choice(tool, tools, f"{at}.tools[{index}]") for index, tool in enumerate(allowed.tools)
    ]
    return {"type": "allowed_tools", "mode": allowed.mode, "tools": chosen}
