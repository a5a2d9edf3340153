"""Tools as real MCP servers describe them go upstream from every dialect, and come back.

`tests/golden/tools` holds one tool a file, named after its server or after what is odd about it:
references, unions, tuples, nullable fields, keywords as names of fields, long and odd names. Adding
a tool is adding a file.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.dialects.chat.names import LENGTH_MAX, short_name
from app.dialects.chat.parameters import clean
from app.dialects.chat.replies import ChatStream
from app.dialects.chat.requests import decode, to_responses
from app.dialects.responses.requests import Wanted, to_upstream
from app.wire.peek import peek
from loadtests.simulator.validation import check
from tests.dialects.upstream_rules import subject

FOLDER = Path(__file__).parents[1] / "golden" / "tools"
TOOLS = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
REFUSED = {
    "uniqueItems", "minItems", "maxItems", "minimum", "maximum", "exclusiveMinimum",
    "exclusiveMaximum", "multipleOf", "pattern", "minLength", "maxLength", "format",
    "minProperties", "maxProperties",
}  # fmt: skip
NAMED = ("properties", "$defs", "definitions", "patternProperties", "dependentSchemas")
DATA = ("enum", "const", "default", "required", "examples")


def schemas(schema: object) -> Iterator[dict]:
    """Yield a schema and all below it; what is data or a name is none."""
    if isinstance(schema, list):
        for part in schema:
            yield from schemas(part)
    if not isinstance(schema, dict):
        return
    yield schema
    for key, value in schema.items():
        if key in NAMED and isinstance(value, dict):
            for part in value.values():
                yield from schemas(part)
        elif key not in DATA:
            yield from schemas(value)


def names(schema: object) -> list[tuple[str, ...]]:
    """Return the names of all fields, wherever they stand."""
    return [tuple(part["properties"]) for part in schemas(schema) if part.get("properties")]


@pytest.mark.parametrize("tool", TOOLS)
def test_only_what_is_refused_goes(tool) -> None:
    """Fields and their order, what is required or referred to, what is said of them: all stay."""
    given = TOOLS[tool]["parameters"]
    cleaned = clean(given)
    assert not [key for part in schemas(cleaned) for key in part if key in REFUSED]
    assert names(cleaned) == names(given)
    for kind in ("required", "enum", "$ref", "description", "default", "const"):
        before = [part[kind] for part in schemas(given) if kind in part]
        assert [part[kind] for part in schemas(cleaned) if kind in part] == before
    for reference in [part["$ref"] for part in schemas(cleaned) if "$ref" in part]:
        target: object = cleaned
        for step in reference.removeprefix("#/").split("/"):
            assert isinstance(target, dict)
            target = target[step]


@pytest.mark.parametrize("tool", TOOLS)
def test_cleaning_twice_changes_nothing(tool) -> None:
    """And the caller's own schema is never touched."""
    given = TOOLS[tool]["parameters"]
    before = json.dumps(given)
    assert clean(clean(given)) == clean(given)
    assert json.dumps(given) == before


def from_chat() -> dict:
    """Return what goes upstream for a chat request with all tools."""
    tools = [{"type": "function", "function": tool} for tool in TOOLS.values()]
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "tools": tools}
    call = to_responses(decode(json.dumps(body).encode()), upstream_model="gpt-5.5", efforts=None)
    return json.loads(call.body)


def from_responses() -> dict:
    """Return what goes upstream for a Responses request with all tools whose names it may have."""
    tools = [{"type": "function", **t} for t in TOOLS.values() if len(t["name"]) <= LENGTH_MAX]
    body = json.dumps({"model": "m", "input": "x", "tools": tools}).encode()
    wanted = Wanted(upstream_model="gpt-5.5", efforts=None, codex_client=False, lite=None)
    return json.loads(to_upstream(body, peek(body), wanted))


@pytest.mark.parametrize("make", [from_chat, from_responses])
def test_the_backend_takes_all_of_them(make) -> None:
    """By the rules that it is known to have."""
    sent = make()
    assert len(sent["tools"]) >= len(TOOLS) - 1
    assert check(subject(sent)) is None


def test_both_dialects_say_the_same() -> None:
    """There is one way to clean a schema."""
    chat = {tool["name"]: tool["parameters"] for tool in from_chat()["tools"]}
    for tool in from_responses()["tools"]:
        assert tool["parameters"] == chat[tool["name"]]


def test_a_codex_clients_tools_keep_their_bytes() -> None:
    """The backend compares some of them by structure."""
    tools = json.dumps([{"type": "function", **tool} for tool in TOOLS.values()
                        if len(tool["name"]) <= LENGTH_MAX]).encode()  # fmt: skip
    body = b'{"model":"m","input":[],"tools":%b}' % tools
    wanted = Wanted(upstream_model="gpt-5.5", efforts=None, codex_client=True, lite=None)
    assert tools in to_upstream(body, peek(body), wanted)


@pytest.mark.parametrize("tool", TOOLS)
def test_a_call_comes_back_by_the_callers_name(tool) -> None:
    """However the name had to be shortened."""
    given = TOOLS[tool]
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}],
            "tools": [{"type": "function", "function": given}]}  # fmt: skip
    call = to_responses(decode(json.dumps(body).encode()), upstream_model="gpt-5.5", efforts=None)
    [sent] = json.loads(call.body)["tools"]
    assert len(sent["name"]) <= LENGTH_MAX
    assert short_name(sent["name"]) == sent["name"]
    item = {"type": "function_call", "call_id": "c", "name": sent["name"], "arguments": "{}"}
    event = {"type": "response.output_item.done", "output_index": 0, "item": item}
    said = ChatStream(call=call, id="x", created_at=0).feed(json.dumps(event).encode())
    assert json.dumps(given["name"], ensure_ascii=False).encode() in said
