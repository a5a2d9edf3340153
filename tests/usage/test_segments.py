"""Tests of app.usage.segments."""

import errno
import os
import subprocess
import sys

import pytest

from app.errors import StateError
from app.usage.framing import HEAD
from app.usage.segments import Folder, Segment, orphans

HOLD = """
import sys
from pathlib import Path
from app.usage.segments import Folder
Folder.make(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def root(tmp_path):
    """Where the folders of all workers are."""
    return tmp_path / "journal"


def test_a_folder_belongs_to_one(root):
    """A second process, or a second journal in this one, is refused."""
    folder = Folder.make(root / "a")
    assert (root / "a").stat().st_mode & 0o777 == 0o700
    assert folder.name == "a"
    with pytest.raises(StateError, match="belongs to another process"):
        Folder.make(root / "a")
    folder.release()
    Folder.make(root / "a").release()


def test_a_folder_that_cannot_be_made_is_explained(tmp_path):
    """The message names the setting that chooses another place."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="CODEX_DATA_DIR"):
        Folder.make(tmp_path / "file" / "a")


def test_the_folder_of_a_process_that_was_killed_is_an_orphan(root):
    """While it lives nobody takes it; the kernel lets go of the lock however it dies."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(root / "dead")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert holder.stdout.readline() == b"held\n"
    assert list(orphans(root, own="own")) == []
    holder.kill()
    holder.communicate()
    (found,) = orphans(root, own="own")
    assert found.name == "dead"
    assert list(orphans(root, own="own")) == []
    found.remove()
    assert not (root / "dead").exists()


def test_what_is_no_folder_of_a_journal_is_left_alone(root):
    """Neither one's own, nor the rest of what lies there, nor nothing at all."""
    assert list(orphans(root, own="own")) == []
    Folder.make(root / "own").release()
    (root / "bad").mkdir()
    (root / "note.txt").write_text("x")
    assert list(orphans(root, own="own")) == []


def test_segments_are_known_by_number(root):
    """In the order in which they were written; other files are none."""
    folder = Folder.make(root / "a")
    for number in (10, 2):
        Segment(folder.segment(number), number, size=4096).close()
    (root / "a" / "x.seg").write_text("")
    assert folder.numbers() == [2, 10]
    assert folder.aside(2).parent == root / "bad"


def test_a_segment_has_all_its_room_from_the_start(root):
    """The disk can't be full in the middle of one."""
    folder = Folder.make(root / "a")
    segment = Segment(folder.segment(1), 1, size=100_000)
    assert segment.path.stat().st_size == 100_000
    assert segment.path.stat().st_blocks * 512 >= 100_000
    assert segment.path.stat().st_mode & 0o777 == 0o600
    assert segment.append(b"one")
    segment.append(b"two")
    assert segment.path.read_bytes()[:16] == HEAD + b"onetwo\x00\x00"
    left = 100_000 - len(HEAD) - 6
    assert not segment.append(bytes(left + 1))
    assert segment.append(bytes(left))
    assert segment.path.stat().st_size == 100_000
    segment.close()


def test_a_full_disk_leaves_nothing_behind(root, monkeypatch):
    """The next try begins as if this one had never been."""
    folder = Folder.make(root / "a")

    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space"):
        Segment(folder.segment(1), 1, size=4096)
    assert folder.numbers() == []


def test_zeros_are_written_where_room_cannot_be_promised(root, monkeypatch):
    """As on macOS."""
    folder = Folder.make(root / "a")
    monkeypatch.delattr(os, "posix_fallocate")
    monkeypatch.delattr(os, "fdatasync")
    segment = Segment(folder.segment(1), 1, size=150_000)
    assert segment.path.stat().st_size == 150_000
    segment.close()


def test_a_short_write_is_an_error_and_is_written_over(root, monkeypatch):
    """The next record goes to the same place."""
    folder = Folder.make(root / "a")
    segment = Segment(folder.segment(1), 1, size=4096)
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", lambda *_: 1)
        with pytest.raises(OSError, match="short write"):
            segment.append(b"lost")
    segment.append(b"kept")
    assert segment.path.read_bytes()[len(HEAD) :][:5] == b"kept\x00"
    segment.close()
