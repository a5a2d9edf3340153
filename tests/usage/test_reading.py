"""Tests of app.usage.reading."""

import pytest

from app.domain.ledger import AttemptRow
from app.usage.framing import HEAD, encode
from app.usage.journal import Journal, JournalLimits
from app.usage.reading import RECORDS_MAX, Reading
from app.usage.segments import Folder, Segment
from tests.usage.records import answered, attempted, began


@pytest.fixture
def folder(tmp_path):
    """The folder of a worker that is gone."""
    held = Folder.make(tmp_path / "journal" / "dead")
    yield held
    held.release()


def segment(folder: Folder, number: int, *records) -> int:
    """Write a segment and return how far it is written."""
    made = Segment(folder.segment(number), number, size=1 << 20)
    data = b"".join(encode(record) for record in records)
    assert made.append(data)
    made.close()
    return len(HEAD) + len(data)


def test_a_batch_is_offered_until_it_is_done(folder):
    """The same rows each time, and their calls are counted once."""
    end = segment(folder, 1, attempted(), answered())
    reading = Reading(folder, journal=None)
    first = reading.batch()
    assert first is reading.batch()
    assert (first.number, first.offset, len(first.rows)) == (1, end, 2)
    reading.done()
    assert reading.batch().rows == []
    reading.done()
    assert reading.ended
    assert reading.batch() is None


def test_done_without_a_batch_changes_nothing(folder):
    """There was nothing to be done with."""
    reading = Reading(folder, journal=None)
    reading.done()
    assert not reading.ended


def test_a_batch_is_bounded(folder):
    """Whatever the segment holds."""
    segment(folder, 1, *(attempted(f"u{n}") for n in range(RECORDS_MAX + 1)))
    reading = Reading(folder, journal=None)
    assert len(reading.batch().rows) == RECORDS_MAX
    reading.done()
    assert len(reading.batch().rows) == 1


@pytest.mark.parametrize("window", [8, 100, 700])
def test_a_record_across_the_end_of_a_window_is_whole(folder, monkeypatch, window):
    """A window is larger than any record; here it may be smaller."""
    monkeypatch.setattr("app.usage.reading.WINDOW_BYTES", window)
    uids = [f"u{n}" for n in range(9)]
    segment(folder, 1, *map(attempted, uids))
    reading = Reading(folder, journal=None)
    found = []
    while (batch := reading.batch()) is not None:
        found += [row.uid for row in batch.rows if isinstance(row, AttemptRow)]
        reading.done()
    assert (found, reading.flaws) == (uids, 0)


def test_what_another_process_had_moved_is_recalled_but_not_offered(folder):
    """Only what was under way then is remembered."""
    whole = segment(folder, 1, began("open"), attempted("over"), answered("over"))
    segment(folder, 2, attempted("open"))
    reading = Reading(folder, journal=None)
    reading.recall({"dead/1": whole})
    (row,) = reading.batch().rows
    assert (row.uid, reading.batch().number) == ("open", 2)
    reading.done()
    assert [row.uid for row in reading.batch().rows] == ["open"]


def test_segments_are_dropped_when_everything_has_been_taken(folder):
    """Not before, as the next adopter would need them."""
    segment(folder, 1, attempted(), answered())
    reading = Reading(folder, journal=None)
    while reading.batch() is not None:
        assert reading.spent() == []
        reading.done()
    assert reading.spent() == [1]
    reading.drop([1])
    assert folder.numbers() == []


def test_a_segment_that_was_never_written_to_is_no_damage(folder):
    """It was made ahead and its head may not have got there."""
    folder.segment(1).write_bytes(bytes(4096))
    reading = Reading(folder, journal=None)
    assert reading.batch().rows == []
    assert reading.flaws == 0


def test_damage_is_met_once(folder):
    """The rest of the segment is put aside, and never read again."""
    end = segment(folder, 1, attempted("good"), attempted("bad"))
    data = bytearray(folder.segment(1).read_bytes())
    data[end - 1] ^= 255
    folder.segment(1).write_bytes(data)
    reading = Reading(folder, journal=None)
    assert [row.uid for row in reading.batch().rows] == ["good"]
    reading.done()
    while reading.batch() is not None:
        reading.done()
    assert reading.flaws == 1
    assert folder.aside(1).read_bytes().count(b"a wrong checksum") == 1
    assert HEAD not in folder.aside(1).read_bytes()


@pytest.fixture
def journal(tmp_path):
    """A journal that is being written, with a segment ahead; one holds two attempts."""
    size = len(HEAD) + 2 * len(encode(attempted()))
    made = Journal(tmp_path, incarnation="me", limits=JournalLimits(segment_bytes=size))
    made.open()
    made._maintain()
    yield made
    made.close()


def test_a_record_that_is_being_written_is_no_damage(journal):
    """Its first half may be there while the second is not: it is read once it is whole."""
    journal.append(attempted("first"))
    reading = Reading(journal.folder, journal=journal)
    half, at = encode(attempted("second")), journal.current.end
    with journal.current.path.open("r+b") as file:
        file.seek(at)
        file.write(half[:-5])
    assert [row.uid for row in reading.batch().rows] == ["first"]
    reading.done()
    assert reading.batch() is None
    assert reading.flaws == 0
    journal.append(attempted("second"))
    assert [row.uid for row in reading.batch().rows] == ["second"]


def test_a_segment_that_fills_after_it_was_read_is_not_spent(journal):
    """What came into it last has not been taken yet."""
    reading = Reading(journal.folder, journal=journal)
    journal.append(attempted("first"))
    journal.append(answered("first"))
    while reading.batch() is not None:
        reading.done()
    before, appended = journal.current.number, 0
    while journal.current.number == before:
        journal.append(attempted("late"))
        appended += 1
    assert reading.spent() == []
    taken = []
    while (batch := reading.batch()) is not None:
        taken += batch.rows
        reading.done()
    assert [row.uid for row in taken] == ["late"] * appended
    assert reading.spent() == [before]
