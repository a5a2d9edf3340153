"""Tests of app.store.belonging."""

import pytest

from app.errors import StateError
from app.store.belonging import OWNER, claim, release


def test_the_first_owner_stays_the_owner(tmp_path):
    """It may come again, also as several workers."""
    folder = tmp_path / "journal"
    for _ in range(3):
        claim(folder, installation="a" * 32, database="one")
    assert (folder / OWNER).read_text() == "a" * 32 + "\n"
    assert (folder / OWNER).stat().st_mode & 0o777 == 0o600


def test_another_installation_is_refused_and_told_what_to_do(tmp_path):
    """Nothing on the disk is changed by the refusal."""
    claim(tmp_path, installation="a" * 32, database="one")
    with pytest.raises(StateError, match="belongs to another database than two") as refused:
        claim(tmp_path, installation="b" * 32, database="two")
    assert "CODEX_DATA_DIR" in refused.value.message
    assert "codex2api db copy" in refused.value.message
    assert f"delete {tmp_path / OWNER}" in refused.value.message
    assert (tmp_path / OWNER).read_text() == "a" * 32 + "\n"


def test_a_released_folder_may_change_hands(tmp_path):
    """Not so one with a worker's journal in it; and there may be none to release."""
    release(tmp_path / "nowhere")
    claim(tmp_path, installation="a" * 32, database="one")
    (tmp_path / "worker").mkdir()
    release(tmp_path)
    with pytest.raises(StateError):
        claim(tmp_path, installation="b" * 32, database="two")
    (tmp_path / "worker").rmdir()
    release(tmp_path)
    claim(tmp_path, installation="b" * 32, database="two")


def test_a_name_that_was_never_written_counts_as_none(tmp_path):
    """As after a crash between making the file and writing it."""
    (tmp_path / OWNER).touch()
    claim(tmp_path, installation="a" * 32, database="one")


def test_a_folder_that_cannot_be_used_is_named(tmp_path):
    """With the reason that the system gave."""
    (tmp_path / "journal").write_text("a file")
    with pytest.raises(StateError, match="journal can't be used: "):
        claim(tmp_path / "journal", installation="a" * 32, database="one")
