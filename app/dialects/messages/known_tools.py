"""The forms of the tools that callers run and only name: the models know them, others must be told.

The fields are those of Anthropic's own clients, so that what a model calls is what they carry out.
"""

from collections.abc import Mapping
from typing import Final

from app.dialects.messages.schema import Json

_TEXT: Final[Json] = {"type": "string"}
_LINES: Final[Json] = {"type": "array", "items": {"type": "integer"}}


def _object(required: list[str], **properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": required}


KNOWN: Final[Mapping[str, tuple[str, Json]]] = {
    "bash": (
        "Runs a command in a shell that stays open between calls.",
        _object(
            [],
            command=_TEXT | {"description": "The command to run."},
            restart={"type": "boolean", "description": "True starts the shell anew instead."},
        ),
    ),
    "text_editor": (
        "Views, creates and edits text files.",
        _object(
            ["command", "path"],
            command=_TEXT | {"enum": ["view", "create", "str_replace", "insert", "undo_edit"]},
            path=_TEXT | {"description": "The path of a file or a folder."},
            view_range=_LINES | {"description": "For view: the first and the last line."},
            file_text=_TEXT | {"description": "For create: the whole text."},
            old_str=_TEXT | {"description": "For str_replace: the text that stands there once."},
            new_str=_TEXT | {"description": "For str_replace and insert: the new text."},
            insert_line={"type": "integer", "description": "For insert: after which line."},
            insert_text=_TEXT | {"description": "For insert: the new text."},
        ),
    ),
    "memory": (
        "Keeps notes in files below /memories.",
        _object(
            ["command"],
            command=_TEXT
            | {"enum": ["view", "create", "str_replace", "insert", "delete", "rename"]},
            path=_TEXT,
            view_range=_LINES,
            file_text=_TEXT,
            old_str=_TEXT,
            new_str=_TEXT,
            insert_line={"type": "integer"},
            insert_text=_TEXT,
            old_path=_TEXT,
            new_path=_TEXT,
        ),
    ),
}
"""Type without its version to what a model is told of it: a description and the parameters."""
