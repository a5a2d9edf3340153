"""A function's parameters as the Codex backend takes them.

The backend refuses some JSON Schema keywords. They are removed where a schema stands, and only
there: a property, an enum member or a default that happens to be called `format` is data. The
walk keeps its own stack, so no schema is too deep for it. Cleaning twice changes nothing.
"""

from typing import Final

from app.dialects.chat.schema import Json

_REFUSED: Final = frozenset(
    {
        "uniqueItems",
        "minItems",
        "maxItems",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "pattern",
        "minLength",
        "maxLength",
        "format",
        "minProperties",
        "maxProperties",
    }
)
# What stands under these keys: one schema or a list of them; a mapping from names to schemas.
_SCHEMAS: Final = frozenset(
    {
        "additionalItems",
        "additionalProperties",
        "allOf",
        "anyOf",
        "contains",
        "else",
        "if",
        "items",
        "not",
        "oneOf",
        "prefixItems",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)
_NAMED_SCHEMAS: Final = frozenset(
    {"$defs", "definitions", "dependentSchemas", "patternProperties", "properties"}
)

_Work = list[tuple[Json, Json]]


def clean(parameters: Json | None) -> Json:
    """Return a copy of `parameters` without what the backend refuses; never None."""
    root: Json = {}
    work: _Work = [(parameters or {}, root)]
    while work:
        source, target = work.pop()
        _copy(source, target, work)
    if "type" not in root:
        root = {"type": "object"} | root
    if root["type"] == "object":
        root.setdefault("properties", {})
    return root


def _copy(source: Json, target: Json, work: _Work) -> None:
    """Fill `target` with the good parts of `source`, and note the schemas below for later."""
    for key, value in source.items():
        if key in _REFUSED or (key == "type" and value is None):
            continue
        if key in _SCHEMAS:
            target[key] = _schemas(value, work)
        elif key in _NAMED_SCHEMAS and isinstance(value, dict):
            target[key] = {name: _schemas(schema, work) for name, schema in value.items()}
        else:
            target[key] = value
    kind = target.get("type")
    if kind == "array" or (isinstance(kind, list) and "array" in kind):
        target.setdefault("items", {})


def _schemas(value: object, work: _Work) -> object:
    match value:
        case dict():
            target: Json = {}
            work.append((value, target))
            return target
        case list():
            return [
                _schemas(schema, work) if isinstance(schema, dict) else schema for schema in value
            ]
        case _:
            return value
