"""Brings a database to the form of the tables that this version knows.

The steps are Alembic revisions in `migrations`, which travel inside the package. They only ever
go forward. A database that a newer version has written is refused, not guessed at.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import column, inspect, select, table
from sqlalchemy.engine import Connection

from app.errors import StateError

if TYPE_CHECKING:
    from alembic.config import Config

HEAD: Final = "0006"
"""The latest step, so that a start with nothing to do needs no Alembic, which is five megabytes."""
STEP: Final = table("alembic_version", column("version_num"))
"""Where Alembic notes which steps a database has."""
MIGRATIONS = Path(__file__).parent / "migrations"
UNFINISHED_COPY = "unfinished-copy-"
"""What the schema step of a half-filled copy begins with; its own step follows."""


class NewerSchema(StateError):
    """A newer version has written this database."""


def upgrade(connection: Connection) -> bool:
    """Apply the steps that are missing, in the caller's transaction; tell whether there were any.

    Raises:
        NewerSchema: The database has a step that this version does not know.
    """
    if current(connection):
        return False
    from alembic import command  # noqa: PLC0415 - see `HEAD`

    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    return True


def current(connection: Connection) -> bool:
    """Tell whether the database has every step.

    Raises:
        NewerSchema: The database has a step that this version does not know.
    """
    applied = steps(connection)
    if applied == [HEAD]:
        return True
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - see `HEAD`

    known = {step.revision for step in ScriptDirectory.from_config(_config()).walk_revisions()}
    unknown = [step for step in applied if step not in known]
    if unknown and unknown[0].startswith(UNFINISHED_COPY):
        raise NewerSchema(
            f"The database is half a copy ({unknown[0]}): run `codex2api db copy` again."
        )
    if unknown:
        raise NewerSchema(
            f"The database was written by a newer codex2api (schema step {unknown[0]}, which this "
            "version does not know). Start that version, or restore the backup made before it."
        )
    return False


def steps(connection: Connection) -> list[str]:
    """Return what is noted of the steps that the database has; nothing if it has no tables."""
    if not inspect(connection).has_table(STEP.name):
        return []
    return list(connection.execute(select(STEP.c.version_num)).scalars())


def _config() -> "Config":
    from alembic.config import Config  # noqa: PLC0415 - see `HEAD`

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
