"""A small instance that satisfies a JSON schema: arguments for tools, structured answers.

It covers what tools and structured outputs use (types, enum, const, anyOf, $ref, required, simple
bounds) and prefers values that look sensible. It does not solve contradictory schemas.
"""

from typing import Any

DEPTH_MAX = 12
_STRINGS = {
    "city": "Oslo",
    "location": "Oslo",
    "country": "Norway",
    "query": "codex2api",
    "url": "https://example.org/",
    "path": "README.md",
    "file": "README.md",
    "name": "Ada",
    "email": "ada@example.com",
    "date": "2026-08-22",
    "unit": "celsius",
}
_FORMATS = {
    "date": "2026-08-22",
    "date-time": "2026-08-22T10:11:12Z",
    "time": "10:11:12Z",
    "email": "ada@example.com",
    "uri": "https://example.org/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "192.0.2.1",
}


def instance(schema: Any, *, name: str = "", root: Any = None, depth: int = 0) -> Any:
    """A value that is valid under the schema; `name` is the property it is for."""
    root = schema if root is None else root
    if not isinstance(schema, dict) or depth > DEPTH_MAX:
        return {}
    schema = _resolved(schema, root)
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    if schema.get("enum"):
        return schema["enum"][0]
    for key in ("anyOf", "oneOf"):
        if schema.get(key):
            return instance(_preferred(schema[key]), name=name, root=root, depth=depth + 1)
    if schema.get("allOf"):
        merged: dict[str, Any] = {k: v for k, v in schema.items() if k != "allOf"}
        for part in schema["allOf"]:
            merged = _joined(merged, _resolved(part, root))
        return instance(merged, name=name, root=root, depth=depth + 1)
    return _typed(schema, name, root, depth)


def _typed(  # noqa: PLR0911  (one return for each type)
    schema: dict[str, Any], name: str, root: Any, depth: int
) -> Any:
    match _kind(schema):
        case "object":
            return _object(schema, root, depth)
        case "array":
            count = max(1 if schema.get("items") else 0, schema.get("minItems", 0))
            count = min(count, schema.get("maxItems", count))
            item = schema.get("items", {})
            return [instance(item, name=name, root=root, depth=depth + 1) for _ in range(count)]
        case "integer":
            return int(_number(schema))
        case "number":
            return _number(schema)
        case "boolean":
            return True
        case "null":
            return None
        case _:
            return _string(schema, name)


def _object(schema: dict[str, Any], root: Any, depth: int) -> dict[str, Any]:
    properties = schema.get("properties", {})
    wanted = schema.get("required") or ([] if depth else list(properties))
    return {
        key: instance(properties.get(key, {}), name=key, root=root, depth=depth + 1)
        for key in wanted
    }


def _kind(schema: dict[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if kind is None and "properties" in schema:
        return "object"
    if kind is None and "items" in schema:
        return "array"
    return str(kind or "string")


def _number(schema: dict[str, Any]) -> float:
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    value = 7 if low is None else low + ("exclusiveMinimum" in schema)
    if high is not None and value > high:
        value = high - ("exclusiveMaximum" in schema) if low is None else low
    step = schema.get("multipleOf")
    return float(-(-value // step) * step) if step else float(value)


def _string(schema: dict[str, Any], name: str) -> str:
    text = _FORMATS.get(schema.get("format", ""), _STRINGS.get(name.lower(), name or "value"))
    text = text.ljust(schema.get("minLength", 0), "x")
    return text[: schema["maxLength"]] if "maxLength" in schema else text


def _preferred(choices: list[Any]) -> Any:
    return next((one for one in choices if one.get("type") != "null"), choices[0])


def _resolved(schema: dict[str, Any], root: Any) -> dict[str, Any]:
    for _ in range(DEPTH_MAX):
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            break
        target: Any = root
        for part in reference.removeprefix("#").strip("/").split("/"):
            target = target.get(part.replace("~1", "/").replace("~0", "~"), {}) if part else target
        schema = {**{k: v for k, v in schema.items() if k != "$ref"}, **target}
    return schema


def _joined(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    joined = {**one, **other}
    properties = {**one.get("properties", {}), **other.get("properties", {})}
    if properties:
        joined["properties"] = properties
        joined["required"] = [*one.get("required", []), *other.get("required", [])]
    return joined
