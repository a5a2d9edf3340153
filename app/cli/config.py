"""`codex2api config`: what the environment says, and what it could say."""

import ast
import inspect
from itertools import pairwise

import click
from msgspec import Struct

from app.cli.command import answer, json_option
from app.settings import VARIABLES, Settings, misspelt


@click.group()
def config() -> None:
    """Check the environment, or list what it may set."""


@config.command()
@json_option
def check(*, as_json: bool) -> None:
    """Check every variable and all of them together; status 2 if one is wrong."""
    warnings = [*Settings.from_env().warnings(), *misspelt()]
    lines = [*(f"Warning: {warning}" for warning in warnings), "The settings are good."]
    answer({"ok": True, "warnings": warnings}, as_json=as_json, lines=lines)


@config.command()
@json_option
def schema(*, as_json: bool) -> None:
    """List every variable with its default, what it takes and what it means."""
    meanings = field_meanings(Settings)
    defaults = Settings()
    shown: list[dict[str, object]] = [
        {
            "name": variable.name,
            "default": _text(getattr(defaults, variable.field)),
            "expected": variable.expected,
            "secret": variable.secret,
            "meaning": meanings[variable.field],
        }
        for variable in VARIABLES
    ]
    lines = ["Each variable may also be set as NAME_FILE, to the path of a file that holds it.", ""]
    for each in shown:
        lines += [
            f"{each['name']}={each['default'] or ''}",
            f"    {each['meaning']}",
            f"    Takes {each['expected']}.",
        ]
    answer(shown, as_json=as_json, lines=lines)


def field_meanings(struct: type[Struct]) -> dict[str, str]:
    """Return the docstring under each field of a struct, on one line.

    They are read from the source, so that they stand where a reader of the code looks for them.
    """
    statements = [
        statement
        for each in ast.parse(inspect.getsource(struct)).body
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


def _text(value: object) -> str | None:
    match value:
        case None | ():
            return None
        case bool():
            return str(value).lower()
        case _:
            return str(value)
