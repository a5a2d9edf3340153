"""Tests of app.store.files."""

import sqlite3
from contextlib import closing
from io import BytesIO
from pathlib import Path

import pytest

from app.errors import StateError
from app.store.files import close_up, fill, new_file, remove, require_ours, sqlite_told, told


def test_a_new_file_is_private_and_empty(tmp_path: Path) -> None:
    """Whatever lay there, and whoever could read it."""
    path = tmp_path / "x"
    path.write_text("old")
    path.chmod(0o644)
    new_file(path)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"", 0o600)


def test_a_file_is_filled(tmp_path: Path) -> None:
    """It holds what was given and is as private."""
    fill(tmp_path / "x", BytesIO(b"content"))
    assert (tmp_path / "x").read_bytes() == b"content"
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o600


def test_a_closed_up_database_is_one_file(tmp_path: Path) -> None:
    """What was in the write-ahead log is in it; `remove` takes all files of one that is not."""
    path = tmp_path / "x.db"
    first = sqlite3.connect(path)
    first.execute("PRAGMA journal_mode = WAL")
    first.execute("CREATE TABLE t (id)")
    with pytest.raises(StateError, match="locked"):
        close_up_at_once(path)
    first.close()
    close_up(path)
    assert [each.name for each in tmp_path.iterdir()] == ["x.db"]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)
        with pytest.raises(StateError, match="no codex2api database"):
            require_ours(connection, path)
    (tmp_path / "x.db-wal").touch()
    remove(path)
    assert not list(tmp_path.iterdir())
    remove(path)


def close_up_at_once(path: Path) -> None:
    """Close a database up that somebody has open, without waiting for him."""
    with sqlite_told(path), closing(sqlite3.connect(path, timeout=0)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")


def test_what_the_system_says_names_the_file(tmp_path: Path) -> None:
    """An operator sees which file and why."""
    with (
        pytest.raises(StateError, match=r"gone can't be used: No such file"),
        told(tmp_path / "gone"),
    ):
        (tmp_path / "gone").read_bytes()
