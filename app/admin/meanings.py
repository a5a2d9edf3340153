"""What fields mean and take, in words for people: read from the source and from the types."""

import ast
import inspect as source
from itertools import pairwise
from typing import Any, get_args

from msgspec import Struct, inspect


def field_meanings(struct: type[Struct]) -> dict[str, str]:
    """Return the docstring under each field of a struct, on one line.

    They are read from the source, so that they stand where a reader of the code looks for them.
    """
    statements = [
        statement
        for each in ast.parse(source.getsource(struct)).body
        if isinstance(each, ast.ClassDef)
        for statement in each.body
    ]
    found: dict[str, str] = {}
    for field, docstring in pairwise(statements):
        match field, docstring:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                found[name] = " ".join(text.split())
    return found


def expected(kind: Any, *, entries: str = "entries") -> str:
    """Say what a field takes; `entries` is what those of a map are called."""
    match inspect.type_info(kind):
        case inspect.EnumType(cls=words):
            return "one of " + ", ".join(words)
        case inspect.IntType(ge=least, le=most):
            return f"a whole number from {least} to {most}"
        case inspect.FloatType(gt=above, ge=least, le=most):
            start = f"above {above:g} and up to" if above is not None else f"from {least:g} to"
            return f"a number {start} {most:g}"
        case inspect.StrType(max_length=most):
            return f"a name of 1 to {most} characters"
        case inspect.StructType(fields=parts):
            told = ", ".join(f"{part.name}{'' if part.required else '?'}" for part in parts)
            return f"a JSON object of {told} (? may be left out)"
        case inspect.DictType():
            names, values = get_args(get_args(kind)[0])
            return f"{entries}: {expected(names)}, and {expected(values)}"
        case other:
            raise AssertionError(other)
