"""Names and call ids that fit: at most 64 characters, always shortened the same way.

A name that fits is left alone. A longer one keeps its readable end and gets eight hex digits of
its SHA-256, so the same name is the same on every replica and in every turn, and the prompt
cache holds. Nothing is remembered here: who must restore a name keeps the pair.
"""

from hashlib import sha256
from typing import Final

LENGTH_MAX: Final = 64
_DIGITS: Final = 8
_MCP: Final = "mcp__"


def short_name(name: str) -> str:
    """Return a tool's name as the upstream takes it.

    The tail of an MCP tool's name tells tools apart, so it is kept rather than the server's.
    """
    if len(name) <= LENGTH_MAX:
        return name
    room = LENGTH_MAX - _DIGITS - 1
    kept = _MCP + name[len(_MCP) - room :] if name.startswith(_MCP) else name[:room]
    return f"{kept}_{_digest(name)}"


def short_id(call_id: str) -> str:
    """Return a call's id as the upstream takes it."""
    if len(call_id) <= LENGTH_MAX:
        return call_id
    return f"{call_id[: LENGTH_MAX - _DIGITS - 1]}_{_digest(call_id)}"


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:_DIGITS]
