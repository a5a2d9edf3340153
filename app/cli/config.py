"""`codex2api config`: what the environment says, and what it could say."""

import click

from app.admin.meanings import field_meanings
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


def _text(value: object) -> str | None:
    match value:
        case None | ():
            return None
        case bool():
            return str(value).lower()
        case _:
            return str(value)
