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

    The names in `headers` are in lower case.
    """
    for name, value in headers:
        if name == "originator" and (value in _ORIGINATORS or value.startswith(FAMILY)):
            return True
        if name == "user-agent" and value.startswith(_USER_AGENTS):
            return True
    return False
