"""Responses Lite: the form that models with `use_responses_lite` want.

Tools and instructions are no fields but the first items of the input. The change is made once:
a request that already begins with its tools, as Codex clients send it, stays as it is.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import UNSET, Raw

from app.dialects.responses.items import Encodable, message
from app.dialects.responses.schema import Head, members_of
from app.wire.violations import read

TOOLS_ITEM: Final = "additional_tools"

_ABSENT: Final = (UNSET, Raw(b"null"))


def is_lite(items: Sequence[Encodable]) -> bool:
    """Tell whether the input already begins with its tools."""
    if not items:
        return False
    first = items[0]
    if isinstance(first, Raw):
        return read(first, Head, at="input[0]").type == TOOLS_ITEM
    return first["type"] in (TOOLS_ITEM, Raw(f'"{TOOLS_ITEM}"'.encode()))


def to_lite(
    fields: Mapping[str, object], items: Sequence[Encodable], instructions: str | None
) -> dict[str, object]:
    """Return the fields that change when a request of the full form is said in Lite.

    Args:
        fields: The request's fields, raw or as they must be; UNSET is none.
        items: The input as it must be, not in Lite form yet.
        instructions: The request's instructions.
    """
    tools = fields.get("tools", UNSET)
    prefix: list[Encodable] = [
        {
            "type": TOOLS_ITEM,
            "role": "developer",
            "tools": [] if tools in _ABSENT else tools,
        }
    ]
    if instructions and instructions.strip():
        prefix.append(message("developer", instructions))
    return {
        "input": [*prefix, *items],
        "tools": UNSET,
        "instructions": UNSET,
        "parallel_tool_calls": Raw(b"false"),
        "reasoning": members_of(fields.get("reasoning")) | {"context": "all_turns"},
    }
