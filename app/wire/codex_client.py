"""Tells a Codex client from other callers, by the names that it gives itself."""

from collections.abc import Iterable
from typing import Final

PRODUCTS: Final = (
    "codex_cli_rs",
    "codex-tui",
    "codex_vscode",
    "codex_exec",
    "codex_chatgpt_desktop",
    "codex_atlas",
)
FAMILY: Final = "Codex "

_ORIGINATORS: Final = frozenset(PRODUCTS)
_USER_AGENTS: Final = (*(f"{product}/" for product in PRODUCTS), FAMILY)


def is_codex_client(headers: Iterable[tuple[str, str]]) -> bool:
    """Tell whether the caller says that it is one of the first-party Codex clients.

    The names in `headers` are in lower case; of a name that stands twice the first counts.
    """
    names: dict[str, str] = {}
    for name, value in headers:
        names.setdefault(name, value)
    originator = names.get("originator", "")
    if originator in _ORIGINATORS or originator.startswith(FAMILY):
        return True
    return names.get("user-agent", "").startswith(_USER_AGENTS)
