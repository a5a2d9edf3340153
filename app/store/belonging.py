"""Keeps the journal of one installation out of another one's database.

A journal holds usage that its database has not taken yet. If the data directory of one installation
is given to another (the volume of the SQLite mode to a gateway on Postgres, say), the calls of the
first would be counted by the second, and missed in the first for good. So the folder bears the name
of its installation, which goes with the database through copies and backups.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from app.errors import StateError

OWNER: Final = "installation"
"""The file in the journal's folder that names the installation."""


def claim(folder: Path, *, installation: str, database: str) -> None:
    """Put the installation's name on the folder, or see that it stands there already.

    `database` is what to call the installation's database when talking to people. Several workers
    may claim the same folder at once.

    Raises:
        StateError: The folder belongs to another installation, or it can't be read or written.
    """
    path = folder / OWNER
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            owner = path.read_text("ascii", "replace").strip()
        else:
            owner = ""
            with os.fdopen(descriptor, "w") as file:
                file.write(f"{installation}\n")
    except OSError as error:
        raise StateError(
            f"The journal's folder {folder} can't be used: {error.strerror}."
        ) from error
    # A process that died between making the file and writing it has left it empty.
    if owner and owner != installation:
        raise StateError(
            f"The journal in {folder} belongs to another database than {database}: its usage would "
            "be counted there and missed where it belongs. Give this gateway a CODEX_DATA_DIR of "
            "its own, or start it on the database it had before; `codex2api db copy` takes "
            "everything from one to the other, and the journal then fits both. Only if that "
            f"database was replaced on purpose, delete {path}."
        )


def release(folder: Path) -> None:
    """Let the folder change hands, unless there is a worker's journal in it.

    For who has just put another database in the place of the one it belonged to.
    """
    with suppress(FileNotFoundError):
        if not any(each.is_dir() for each in folder.iterdir()):
            (folder / OWNER).unlink()
