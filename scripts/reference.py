"""Writes `docs/reference/` from the code: every environment variable and every setting.

A field's meaning is the docstring under it in the source, so it is said in one place. `make
reference` writes the pages; a test compares them with what would be written.
"""

import ast
import sys
from collections.abc import Iterator
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import fields

from app.domain.runtime import RuntimeSettings
from app.settings import VARIABLES, Settings

ROOT: Final = Path(__file__).parent.parent
FOLDER: Final = ROOT / "docs" / "reference"
_SHOWN_ELSEWHERE: Final = {
    "bind": "`127.0.0.1` (`0.0.0.0` in the image)",
    "data_dir": "`./data` (`/data` in the image)",
    "user_agent": "`codex2api/<version>`",
    "log_format": "`json` (`console` on a terminal)",
    "body_bytes_max": "`48`",
}
"""Defaults that depend on where the gateway runs, or are in another unit there."""


def docstrings(kind: type[Struct]) -> dict[str, str]:
    """Return the docstring under each field of a struct, on one line each."""
    source = Path(sys.modules[kind.__module__].__file__ or "").read_text("utf-8")
    (body,) = [
        node.body
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef) and node.name == kind.__name__
    ]
    found: dict[str, str] = {}
    for field, below in pairwise(body):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
        ):
            found[field.target.id] = " ".join(str(below.value.value).split())
    return found


def environment() -> str:
    """Return the page of the environment."""
    said, defaults = docstrings(Settings), Settings()
    rows = "".join(
        f"| `{each.name}` | {_default(each.field, getattr(defaults, each.field))} | "
        f"{_cell(each.expected)} | {_cell(said[each.field])} |\n"
        for each in VARIABLES
    )
    return (
        "# Environment\n\n"
        "Read once at start, from the environment and from `./.env` if it is there\n"
        "(`CODEX_ENV_FILE` names another file); the environment wins. Every name also works as\n"
        "`NAME_FILE`, the path of a file that holds the value. Bad values are reported all at\n"
        "once, with exit status 2; `codex2api config check` does only that.\n\n"
        "| Name | Default | Expected | Meaning, and why this default |\n|---|---|---|---|\n"
        f"{rows}"
    )


def settings() -> str:
    """Return the page of what may change while the gateway runs."""
    said = docstrings(RuntimeSettings)
    properties = msgspec.json.schema(RuntimeSettings)["$defs"]["RuntimeSettings"]["properties"]
    rows = "".join(
        f"| `{each.name}` | {_default(each.name, getattr(RuntimeSettings(), each.name))} | "
        f"{_cell(_words(each.type) or _expected(properties[each.name]))} | "
        f"{_cell(said[each.name])} |\n"
        for each in fields(RuntimeSettings)
    )
    return (
        "# Settings\n\n"
        "What an operator changes while the gateway runs: in the admin UI, with `codex2api\n"
        "settings set NAME=VALUE`, or with `PUT /api/admin/settings`. They live in the database,\n"
        "and every worker follows within five seconds.\n\n"
        "| Name | Default | Expected | Meaning, and why this default |\n|---|---|---|---|\n"
        f"{rows}"
    )


def pages() -> Iterator[tuple[Path, str]]:
    """Yield each page's path and what belongs in it."""
    yield FOLDER / "environment.md", environment()
    yield FOLDER / "settings.md", settings()


def _default(name: str, value: object) -> str:
    if name in _SHOWN_ELSEWHERE:
        return _SHOWN_ELSEWHERE[name]
    if value is None or (isinstance(value, tuple | dict) and not value):
        return "-"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    shown = value if isinstance(value, str) else msgspec.json.encode(value, order="sorted").decode()
    return f"`{shown}`"


def _words(kind: object) -> str:
    """Return the words of a choice; empty for what is none."""
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return ", ".join(f"`{word}`" for word in kind)
    return ""


def _expected(schema: dict[str, object]) -> str:
    """Return in words what a setting may be that is no choice of words."""
    kinds = {"number": "a number", "integer": "a whole number", "object": "names and values"}
    kinds |= {"string": "a text", "boolean": "true or false", "array": "a list"}
    said = kinds[str(schema["type"])]
    low, high = schema.get("minimum"), schema.get("maximum")
    over = schema.get("exclusiveMinimum")
    if over is not None:
        said += f" over {over}"
    if low is not None:
        said += f" from {low}"
    return said if high is None else f"{said} to {high}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    """Write the pages."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path, text in pages():
        path.write_text(text, "utf-8")
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
