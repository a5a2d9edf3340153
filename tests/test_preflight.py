"""What is not ready is said before anything starts, in a sentence that says what to do."""

import resource
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from app import preflight
from app.errors import StateError
from app.preflight import BUILT_AT
from app.preflight import preflight as check
from app.settings import Settings

NOW = BUILT_AT + 1_000_000


class Usage(NamedTuple):
    """What a disk has, in bytes."""

    total: int
    used: int
    free: int


@pytest.fixture
def settings(tmp_path) -> Settings:
    """A data directory that is not there yet."""
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture(autouse=True)
def many(monkeypatch):
    """As many descriptors as anybody wants."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (65_536, 65_536))


def test_a_machine_that_is_ready_is_not_talked_about(settings):
    """And its directory is there now, private."""
    assert check(settings, now=NOW) == []
    assert settings.data_dir.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("limit", "says"),
    [(resource.RLIM_INFINITY, ""), (1_024, ""), (1_023, "enough for 441 streams"), (192, "26")],
)
def test_few_descriptors_are_warned_of(settings, monkeypatch, limit, says):
    """With how many streams they are enough for."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    warnings = check(settings, now=NOW)
    assert says in "".join(warnings)
    assert bool(warnings) is bool(says)


def test_too_few_descriptors_are_refused(settings, monkeypatch):
    """Nothing would be left for a call."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (100, 100))
    with pytest.raises(StateError, match=r"Only 100 files may be open .*ulimit -n"):
        check(settings, now=NOW)


@pytest.mark.parametrize("name", ["data_dir", "database_path"])
def test_a_directory_that_can_not_be_written_is_refused(tmp_path, name):
    """Whether it is the journal's or the database's; here, a file stands in its place."""
    (tmp_path / "taken").write_text("")
    taken = tmp_path / "taken"
    places = {"data_dir": tmp_path / "data"} | {name: taken if name == "data_dir" else taken / "db"}
    with pytest.raises(StateError, match=r"taken can't be written by user \d+ .*CODEX_DATA_DIR"):
        check(Settings(**places), now=NOW)


def test_a_full_disk_is_refused(settings, monkeypatch):
    """The journal could not begin."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1 << 30, 1 << 30, 3 << 20))
    with pytest.raises(StateError, match="has 3 MiB free and needs 64"):
        check(settings, now=NOW)


def test_a_clock_that_was_never_set_is_refused(settings):
    """As on a board without a battery, before NTP."""
    with pytest.raises(StateError, match="says 1970-01-01"):
        check(settings, now=3_600.0)


def test_a_clock_that_has_gone_back_is_warned_of(settings):
    """It may be right after all: then the file's date was wrong."""
    settings.data_dir.mkdir()
    file = settings.data_dir / "codex2api.db"
    file.write_text("")
    written = file.stat().st_mtime
    assert check(settings, now=written - 3_600) == []
    [warning] = check(settings, now=written - 3 * 86_400)
    assert "3 days behind" in warning


def test_everything_that_is_in_the_way_is_said_at_once(tmp_path, monkeypatch):
    """Who mends one thing should not find the next one only then."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (10, 10))
    (tmp_path / "taken").write_text("")
    with pytest.raises(StateError) as refused:
        check(Settings(data_dir=tmp_path / "taken"), now=0.0)
    assert all(word in str(refused.value) for word in ("Only 10", "taken", "1970"))


def test_the_built_in_directory_is_beside_the_start(monkeypatch, tmp_path):
    """`./data` is made where the gateway is started."""
    monkeypatch.chdir(tmp_path)
    assert check(Settings(), now=NOW) == []
    assert Path("data").is_dir()
    assert 2 * Settings().limits.descriptors_spare < preflight.DESCRIPTORS_MIN
