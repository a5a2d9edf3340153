"""Tests of app.usage.journal."""

import asyncio
import errno
import logging
import signal
import subprocess
import sys

import pytest

from app.errors import StateError
from app.usage.framing import HEAD, decode, encode
from app.usage.journal import LATE_ROUNDS, Journal, JournalLimits
from app.usage.segments import Folder, Segment
from tests.usage.records import attempted, began

SIZE = len(encode(began("u00")))
SMALL = JournalLimits(segment_bytes=len(HEAD) + 3 * SIZE, backlog_max=4)

DIE = """
import os, signal, sys
from pathlib import Path
from app.usage.journal import LATE_ROUNDS, Journal
from tests.usage.records import attempted
journal = Journal(Path(sys.argv[1]), incarnation="dead")
journal.open()
for n in range(1000):
    journal.append(attempted(f"u{n}"))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def journal(tmp_path):
    """An open journal whose segments take three records each."""
    opened = Journal(tmp_path, incarnation="me", limits=SMALL)
    opened.open()
    yield opened
    opened.close()


def written(folder: Folder) -> list[str]:
    """Return the uids of all records on the disk, in order."""
    found = []
    for number in folder.numbers():
        data = folder.segment(number).read_bytes()
        found += [r.uid for r in decode(data, offset=len(HEAD), records_max=9_999).records]
    return found


def uids(first: int, end: int) -> list[str]:
    """Return names of equal length."""
    return [f"u{n:02d}" for n in range(first, end)]


class Disk:
    """Decides which of the journal's steps fail."""

    def __init__(self, monkeypatch) -> None:
        self.full = False
        self.broken = False
        make, append = Segment.__init__, Segment.append

        def maybe_make(segment: Segment, *args, **kwargs) -> None:
            if self.full:
                raise OSError(errno.ENOSPC, "No space left on device")
            make(segment, *args, **kwargs)

        def maybe_append(segment: Segment, data: bytes) -> bool:
            if self.broken:
                raise OSError(errno.EIO, "Input/output error")
            return append(segment, data)

        monkeypatch.setattr(Segment, "__init__", maybe_make)
        monkeypatch.setattr(Segment, "append", maybe_append)


async def turn(journal: Journal, times: int = 1) -> None:
    """Let the journal look after itself."""
    done = asyncio.Event()
    left = times

    async def sleep(_seconds: float) -> None:
        nonlocal left
        left -= 1
        if not left:
            done.set()
            await asyncio.Future()

    task = asyncio.create_task(journal.run(sleep=sleep))
    await done.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_what_a_killed_process_had_appended_is_there(tmp_path):
    """Not one record is lost, without any sync."""
    dead = subprocess.run([sys.executable, "-c", DIE, str(tmp_path)], check=False)
    assert dead.returncode == -signal.SIGKILL
    folder = Folder.make(tmp_path / "dead")
    assert written(folder) == [f"u{n}" for n in range(1000)]
    folder.release()


def test_a_record_is_on_the_disk_when_append_returns(journal):
    """In the first segment, which is there from the start."""
    journal.append(began("u00"))
    assert written(journal.folder) == ["u00"]
    assert journal.healthy
    assert journal.appended == 1


async def test_a_full_segment_is_followed_by_the_spare(journal):
    """In order and without a gap."""
    for uid in uids(0, 9):
        journal.append(began(uid))
        await turn(journal)
    assert written(journal.folder) == uids(0, 9)
    assert journal.current.number == 3
    assert journal.folder.numbers() == [1, 2, 3, 4]
    assert journal.healthy


async def test_a_full_disk_is_noticed_a_segment_ahead(journal, monkeypatch, caplog):
    """What is under way is written down, then kept in memory, and nothing new is begun."""
    disk = Disk(monkeypatch)
    disk.full = True
    await turn(journal)
    assert "journal_has_no_spare" in caplog.text
    for uid in uids(0, 3):
        journal.append(began(uid))
    assert journal.healthy
    for uid in uids(3, 6):
        journal.append(began(uid))
    assert not journal.healthy
    assert written(journal.folder) == uids(0, 3)
    disk.full = False
    await turn(journal)
    assert journal.healthy
    journal.append(began("u06"))
    await turn(journal)
    journal.append(began("u07"))
    assert written(journal.folder) == uids(0, 8)
    assert journal.lost == 0


async def test_memory_is_bounded_as_well(journal, monkeypatch, caplog):
    """What finds no room at all is counted; the order of the rest is kept."""
    disk = Disk(monkeypatch)
    disk.broken = True
    with caplog.at_level(logging.WARNING):
        for uid in uids(0, 6):
            journal.append(began(uid))
        assert (journal.lost, journal.appended) == (2, 6)
        disk.broken = False
        await turn(journal, 2)
    assert written(journal.folder) == uids(0, 4)
    assert caplog.text.count("journal_full") == 1


async def test_what_waits_goes_before_what_comes(journal, monkeypatch):
    """A record that was kept is not overtaken."""
    disk = Disk(monkeypatch)
    disk.broken = True
    journal.append(began("u00"))
    disk.broken = False
    journal.append(began("u01"))
    await turn(journal)
    assert written(journal.folder) == uids(0, 2)


def test_closing_writes_what_still_waits(tmp_path, monkeypatch):
    """And leaves no segment that was never used."""
    journal = Journal(tmp_path, incarnation="me", limits=SMALL)
    journal.open()
    disk = Disk(monkeypatch)
    disk.broken = True
    journal.append(began("u00"))
    disk.broken = False
    asyncio.run(turn(journal))
    journal.close()
    folder = Folder.make(tmp_path / "me")
    assert written(folder) == ["u00"]
    assert folder.numbers() == [1]
    folder.release()


async def test_a_late_record_waits_for_some_rounds(journal):
    """A process that dies before leaves none of it; what is urgent does not wait for it."""
    journal.append_late(began("u01"))
    journal.append(began("u00"))
    await turn(journal, LATE_ROUNDS - 1)
    assert (written(journal.folder), journal.appended, journal.late) == (["u00"], 1, 1)
    await turn(journal)
    assert (written(journal.folder), journal.appended, journal.late) == (["u00", "u01"], 2, 0)


def test_late_records_keep_their_order_at_the_end(tmp_path):
    """An orderly end waits for nothing."""
    journal = Journal(tmp_path, incarnation="me")
    journal.open()
    journal.append_late(began("u00"))
    asyncio.run(turn(journal))
    journal.append_late(began("u01"))
    journal.append_awaited()
    journal.append_late(began("u02"))
    journal.close()
    folder = Folder.make(tmp_path / "me")
    assert written(folder) == uids(0, 3)
    folder.release()


def test_few_records_wait_to_be_late(journal):
    """Rounds stand still while the disk does; here four may wait."""
    for uid in uids(0, 6):
        journal.append_late(began(uid))
    assert (written(journal.folder), journal.late) == (uids(4, 6), 4)


async def test_a_sync_that_fails_is_said_and_tried_again(journal, monkeypatch, caplog):
    """The data is in the kernel's hands all the same."""

    def fail(_segment: Segment) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(Segment, "sync", fail)
        for uid in uids(0, 4):
            journal.append(began(uid))
            await turn(journal)
    assert "journal_not_synced" in caplog.text
    assert written(journal.folder) == uids(0, 4)


@pytest.mark.usefixtures("journal")
def test_an_incarnation_has_one_journal(tmp_path):
    """Two writers would tear each other's frames."""
    with pytest.raises(StateError, match="another process"):
        Journal(tmp_path, incarnation="me").open()


def test_a_record_that_fits_nowhere_is_kept_back(tmp_path):
    """A segment is far larger than any record; this one is made too small."""
    journal = Journal(tmp_path, incarnation="me", limits=JournalLimits(segment_bytes=len(HEAD)))
    journal.open()
    journal.append(attempted())
    assert not journal.healthy
    journal.close()


def test_what_waits_in_memory_is_not_written(journal):
    """Nor is what was lost; segments take three records, memory four."""
    for number in range(9):
        journal.append(began(f"u{number:02}"))
    assert (journal.appended, journal.written, journal.lost) == (9, 3, 2)
    journal._maintain()
    journal._catch_up()
    assert journal.written == 6
