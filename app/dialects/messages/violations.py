"""What is wrong with a Messages request: errors that name the field as Anthropic's API does.

A path is written with dots, numbers included: `messages.0.content.1.source.data`. Inside the
gateway paths have brackets; `dotted` is the one place where they change.
"""

import re
from typing import Final

from app.errors import InvalidRequest

UNSUPPORTED: Final = "unsupported_parameter"

_INDEX: Final = re.compile(r"\[(\d+)\]")


def dotted(path: str) -> str:
    """Return a path as Anthropic's API writes it."""
    return _INDEX.sub(r".\1", path)


def wrong(path: str, sentence: str) -> InvalidRequest:
    """Return the answer to a request whose field at `path` is wrong."""
    return InvalidRequest(f"{dotted(path)}: {sentence}", param=path)


def unsupported(path: str, sentence: str) -> InvalidRequest:
    """Return the answer to a request that asks for what no upstream here can do."""
    return InvalidRequest(f"{dotted(path)}: {sentence}", param=path, code=UNSUPPORTED)
