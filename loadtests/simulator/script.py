"""What the simulated model answers: an `Ask` becomes a list of items.

Knobs come first (`items`, `answer`), then what the request forces (a tool, a schema), then what
its text invites ("weather", "run", "echo:"), then a few sentences of prose. The answer is a
function of the seed and the request, so that the same test sees the same text.
"""

import re
from zlib import crc32

import msgspec
import orjson

from loadtests.simulator.ask import Ask, Tool
from loadtests.simulator.config import Knobs
from loadtests.simulator.items import (
    Compaction,
    CustomToolCall,
    FunctionCall,
    Image,
    Item,
    LocalShellCall,
    Message,
    Reasoning,
    WebSearch,
)
from loadtests.simulator.knobs import without_directive
from loadtests.simulator.schema import instance

SHELL_TOOLS = {"shell", "local_shell", "shell_command", "exec_command", "container.exec"}
SHELL_COMMAND = "echo hello-from-codex2api"
CODE_TOOL = "exec"
"""The free-form tool of a Codex client in code mode: JavaScript that calls the other tools."""
SHELL_CODE = f'const ran = await tools.exec_command({{cmd: "{SHELL_COMMAND}"}}); text(ran.output);'
PARALLEL_CALLS_MAX = 3
_RUN = re.compile(r"\brun\b", re.IGNORECASE)
_INVITES_TOOL = re.compile(r"use (a|the|your) tool|use tools|weather", re.IGNORECASE)
_OPENINGS = (
    "Here is what I found.",
    "Good question.",
    "That is done.",
    "I had a look at it.",
    "In short, yes.",
)
_SENTENCES = (
    "The request arrived in one piece, was checked, and took the first free place in the queue.",
    "Most of the work was reading the input carefully; the answer itself is brief.",
    "A small change in one place is enough, and nothing else has to move for it.",
    "The tests cover the usual path and the two ways in which it can go wrong.",
    "Naïve estimates put the cost at a few milliseconds — measured, it is less than one.",
    "If you want more detail, ask for the part that matters to you and I will expand on it.",
    "Each step is independent of the others, so a failure in one leaves the rest untouched.",
)


class Setting(msgspec.Struct, frozen=True):
    """Where the answer is given: facts the demo's prose tells."""

    seed: int
    account: str
    plan: str
    model: str
    transport: str
    used_percent: float
    requests: int


def answer(ask: Ask, knobs: Knobs, setting: Setting) -> list[Item]:
    """The items of the reply."""
    if knobs.items is not None:
        return list(knobs.items)
    if ask.compaction:
        return [Compaction(note=f"{len(ask.text)} characters")]
    lead: list[Item] = []
    thinks = ask.effort not in {None, "none", "minimal"}
    if knobs.reasoning == "on" or (knobs.reasoning == "auto" and thinks):
        lead.append(Reasoning())
    if knobs.answer is None and knobs.deltas is None:
        called = _calls(ask)
        if called:
            return [*lead, *called]
    return [*lead, Message(text=_text(ask, knobs, setting))]


def _calls(ask: Ask) -> list[Item]:
    if ask.outputs or ask.choice == "none" or not ask.tools:
        return []
    named = next((tool for tool in ask.tools if tool.name == ask.choice), None)
    if named is not None:
        return _call(named, ask)
    shell = next((tool for tool in ask.tools if _runs(tool)), None)
    if shell is not None and _RUN.search(ask.text):
        return _call(shell, ask)
    tool = _invited(ask)
    if tool is None:
        return []
    functions = [one for one in ask.tools if one.kind == "function"]
    if ask.parallel and "parallel" in ask.text.lower() and tool.kind == "function":
        several = (functions * PARALLEL_CALLS_MAX)[: max(2, min(len(functions), 3))]
        return [item for one in several for item in _call(one, ask)]
    return _call(tool, ask)


def _runs(tool: Tool) -> bool:
    return tool.name in SHELL_TOOLS or (tool.kind == "custom" and tool.name == CODE_TOOL)


def _invited(ask: Ask) -> Tool | None:
    """The tool that the text or the choice asks for, if any."""
    text = ask.text.lower()
    for tool in ask.tools:
        if tool.kind == "web_search" and "search" in text:
            return tool
        if tool.kind == "image_generation" and "draw" in text:
            return tool
        if tool.kind == "custom" and tool.name.replace("_", " ").lower() in text:
            return tool
    callable_tools = [tool for tool in ask.tools if tool.kind in {"function", "custom"}]
    if ask.choice in {"required", "any"} or _INVITES_TOOL.search(ask.text):
        functions = [tool for tool in callable_tools if tool.kind == "function"]
        named = [tool for tool in callable_tools if tool.name.lower() in text]
        fitting = [tool for tool in functions if "weather" in text and "weather" in tool.name]
        return next(iter([*named, *fitting, *functions, *callable_tools, *ask.tools]), None)
    return None


def _call(tool: Tool, ask: Ask) -> list[Item]:
    if tool.kind == "local_shell":
        return [LocalShellCall(command=SHELL_COMMAND.split())]
    if tool.kind == "custom":
        text = SHELL_COMMAND if tool.name in SHELL_TOOLS else f"input for {tool.name}\n"
        if tool.name == CODE_TOOL:
            text = SHELL_CODE
        if "patch" in tool.name:
            text = "*** Begin Patch\n*** Add File: hello.txt\n+hello\n*** End Patch\n"
        return [CustomToolCall(name=tool.name, input=text)]
    if tool.kind.startswith("web_search"):
        return [WebSearch(query=_plain(ask)[:80]), _cited()]
    if tool.kind == "image_generation":
        return [Image(prompt=_plain(ask)[:80])]
    arguments = instance(tool.schema)
    if tool.name in SHELL_TOOLS:
        arguments = _shell_arguments(tool, arguments)
    return [FunctionCall(name=tool.name, arguments=arguments)]


def _shell_arguments(tool: Tool, arguments: dict[str, object]) -> dict[str, object]:
    """Arguments that run the greeting, in the form the tool's schema wants."""
    properties = tool.schema.get("properties", {})
    name = next((key for key in ("command", "cmd", "script") if key in properties), "command")
    kind = properties.get(name, {}).get("type")
    command: object = SHELL_COMMAND if kind == "string" else ["bash", "-lc", SHELL_COMMAND]
    required = set(tool.schema.get("required", ()))
    kept = {key: value for key, value in arguments.items() if key in required}
    if "workdir" in kept:
        kept["workdir"] = "."
    for key in ("timeout_ms", "timeout", "yield_time_ms"):
        if key in kept:
            kept[key] = 10_000
    return {**kept, name: command}


def _cited() -> Message:
    text = "The search found one page about it [1]."
    cited = {
        "type": "url_citation",
        "url": "https://example.org/",
        "title": "Example",
        "start_index": 35,
        "end_index": 38,
    }
    return Message(text=text, annotations=[cited])


def _text(ask: Ask, knobs: Knobs, setting: Setting) -> str:
    if knobs.answer is not None:
        return knobs.answer
    if ask.json_schema is not None:
        return orjson.dumps(instance(ask.json_schema)).decode()
    if ask.json_object:
        return '{"answer":"json"}'
    if ask.outputs:
        return f"The tool answered: {ask.outputs[-1].strip()}"
    return _spoken(ask, knobs, setting)


def _spoken(ask: Ask, knobs: Knobs, setting: Setting) -> str:
    """An echo, a word on the images, or prose."""
    asked = _plain(ask)
    echo = asked.lower().find("echo:")
    if echo >= 0:
        return asked[echo + 5 :].strip()
    if ask.image_sizes:
        sizes = ", ".join(f"an image of {size} bytes" for size in ask.image_sizes)
        return f"I see {sizes}."
    return _story(asked, setting) if knobs.style == "demo" else _prose(asked, setting.seed)


def _prose(asked: str, seed: int) -> str:
    number = crc32(f"{seed}:{asked}".encode(errors="replace"))
    count = len(_SENTENCES)
    first, second = number % count, (number // count) % (count - 1)
    second += second >= first
    opening = _OPENINGS[number % len(_OPENINGS)]
    return f"{opening} {_SENTENCES[first]} {_SENTENCES[second]}"


def _story(asked: str, setting: Setting) -> str:
    question = " ".join(asked.split())
    shown = question if len(question) <= 60 else question[:57] + "..."
    where = "a WebSocket" if setting.transport == "ws" else "an event stream"
    return (
        f"You asked: “{shown}”. The gateway checked your key, picked {setting.account} "
        f"(plan {setting.plan}) among the accounts that were free, and sent the request on with "
        f"that account's credential. This simulated {setting.model} is answering through {where}, "
        "a few letters at a time, as the real backend would.\n\n"
        f"It is request {setting.requests} on this account, whose five-hour window stands at "
        f"{setting.used_percent:.0f} %. When it reaches 100 % the backend will refuse the next "
        "request, and the gateway will move on to another account without you noticing."
    )


def _plain(ask: Ask) -> str:
    return without_directive(ask.text)
