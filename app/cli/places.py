"""Databases as they are named on the command line.

    sqlite:PATH, or a path alone     a SQLite file
    postgresql://USER@HOST/NAME      a Postgres database
    env                              the one that the environment names
    @FILE                            one of these, read from a file

The last is for URLs with a password, which every process of the machine could read in the
arguments. Whether there is anything at the place is not asked here.
"""

import re
from pathlib import Path
from typing import Any

import click
from msgspec import structs

from app.environment import url
from app.errors import StateError
from app.settings import Driver, Settings

_URL_CHARS_MAX = 4_096
# Other programs name the driver of their language in it.
_POSTGRES = re.compile(r"postgres(?:ql)?(?:\+\w+)?://", re.ASCII)
_SQLITE = re.compile(r"sqlite(?:\+\w+)?:(?:///)?", re.ASCII)


class Place(click.ParamType[str]):
    """A database, read from a file if it says so; `settings_at` makes settings of it."""

    name = "database"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return what names the database."""
        text = str(value).strip()
        if text.startswith("@"):
            try:
                with Path(text[1:]).open("r", encoding="utf-8") as file:
                    text = file.read(_URL_CHARS_MAX).strip()
            except (OSError, UnicodeDecodeError) as error:
                self.fail(f"{text[1:]} can't be read: {error}", param, ctx)
        if not text:
            self.fail("it is empty", param, ctx)
        return text


def settings_at(place: str, settings: Settings) -> Settings:
    """Return `settings` with the database that `place` names.

    Raises:
        click.ClickException: It names none; what it says is not repeated, as it may hold a secret.
    """
    if place == "env":
        return settings
    if match := _POSTGRES.match(place):
        try:
            address = url("postgresql", query=True)(f"postgresql://{place[match.end() :]}")
        except ValueError:
            raise click.ClickException(
                "A Postgres database is named as postgresql://USER:PASSWORD@HOST:PORT/NAME."
            ) from None
        return structs.replace(settings, database_driver=Driver.POSTGRES, database_url=address)
    path = place[match.end() :] if (match := _SQLITE.match(place)) else place
    if not path or "://" in path:
        raise click.ClickException(
            "A database is named as sqlite:PATH, postgresql://..., env, or @FILE that says so."
        )
    return structs.replace(
        settings, database_driver=Driver.SQLITE, database_path=Path(path).expanduser()
    )


def require_there(settings: Settings) -> None:
    """Refuse to look into a SQLite file that is not there; opening it would make it.

    Raises:
        StateError: There is none, or an empty one.
    """
    path = settings.sqlite_path
    if settings.database_driver is Driver.SQLITE and not (path.exists() and path.stat().st_size):
        raise StateError(f"There is no database at {path}.")
