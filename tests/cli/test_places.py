"""Tests of app.cli.places."""

from pathlib import Path

import click
import pytest

from app.cli.places import Place, require_there, settings_at
from app.errors import StateError
from app.settings import Driver, Settings

SETTINGS = Settings(data_dir=Path("elsewhere"))


@pytest.mark.parametrize(
    ("place", "path"),
    [
        ("data/x.db", "data/x.db"),
        ("sqlite:data/x.db", "data/x.db"),
        ("sqlite:/data/x.db", "/data/x.db"),
        ("sqlite:///data/x.db", "data/x.db"),
        ("sqlite+aiosqlite:////data/x.db", "/data/x.db"),
        ("~/x.db", str(Path("~/x.db").expanduser())),
    ],
)
def test_a_file_has_several_names(place: str, path: str) -> None:
    """The key file is looked for beside it."""
    found = settings_at(place, SETTINGS)
    assert (found.database_driver, found.sqlite_path) == (Driver.SQLITE, Path(path))
    assert found.key_file == Path(path).parent / "secret.key"


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+asyncpg"])
def test_a_server_has_a_url(scheme: str) -> None:
    """In the words of other programs too."""
    found = settings_at(f"{scheme}://u:p@host:1/name?sslmode=require", SETTINGS)
    assert found.database_driver is Driver.POSTGRES
    assert found.database_url == "postgresql://u:p@host:1/name?sslmode=require"


def test_the_environment_is_a_place() -> None:
    """The one that everything else goes to."""
    assert settings_at("env", SETTINGS) is SETTINGS


@pytest.mark.parametrize(
    "place", ["sqlite:", "mysql://u:hidden@h/n", "postgresql://", "postgresql://u:hidden@h:x/n"]
)
def test_what_is_no_place_is_refused(place: str) -> None:
    """Without a word of what it said."""
    with pytest.raises(click.ClickException, match="is named as") as caught:
        settings_at(place, SETTINGS)
    assert "hidden" not in caught.value.message


def test_a_place_may_stand_in_a_file(tmp_path: Path) -> None:
    """So that its password need not stand in the arguments."""
    (tmp_path / "place").write_text("postgresql://u:p@h/n\n")
    assert Place()(f"@{tmp_path / 'place'}") == "postgresql://u:p@h/n"
    assert Place()(" x.db ") == "x.db"


@pytest.mark.parametrize(("text", "told"), [("", "it is empty"), ("@/no/file", "can't be read")])
def test_no_place_at_all_is_a_usage_error(text: str, told: str) -> None:
    """The message names the file."""
    with pytest.raises(click.BadParameter, match=told):
        Place()(text)


def test_a_file_must_be_there_to_be_looked_into(tmp_path: Path) -> None:
    """Opening it would make it; a server is asked instead."""
    path = tmp_path / "x.db"
    with pytest.raises(StateError, match="There is no database at"):
        require_there(settings_at(str(path), SETTINGS))
    path.touch()
    with pytest.raises(StateError, match="There is no database at"):
        require_there(settings_at(str(path), SETTINGS))
    path.write_text("x")
    require_there(settings_at(str(path), SETTINGS))
    require_there(settings_at("postgresql://h/n", SETTINGS))
