"""Tests of app.accounts.archives."""

from io import BytesIO
from pathlib import Path
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZipFile

import pytest

from app.accounts import archives
from app.accounts.archives import BadArchive, Member, is_archive, unpack


def archive(files, *, compression=ZIP_DEFLATED):
    """Return a zip archive of names and contents."""
    target = BytesIO()
    with ZipFile(target, "w", compression) as made:
        for name, data in files.items():
            made.writestr(name, data)
    return target.getvalue()


def test_the_files_of_an_archive_come_in_their_order():
    """Folders and what systems leave behind are passed over."""
    data = archive(
        {
            "b.json": b"1",
            "folder/": b"",
            "folder/a.json": b"2",
            "__MACOSX/b.json": b"x",
            "folder/.DS_Store": b"x",
        }
    )
    assert is_archive(data)
    assert unpack(data) == [Member("b.json", b"1"), Member("folder/a.json", b"2")]


def test_a_file_without_a_name_is_a_file():
    """Names are only shown; the library makes no such archive, a fuzzer did."""
    data = (Path(__file__).parents[1] / "fuzz" / "imports" / "nameless").read_bytes()
    assert "" in [each.name for each in unpack(data)]


def test_an_empty_archive_has_no_files():
    """It is an archive all the same."""
    data = archive({})
    assert is_archive(data)
    assert unpack(data) == []


def test_other_files_are_no_archives():
    """Whatever they contain further on."""
    assert not is_archive(b"")
    assert not is_archive(b" PK\x03\x04")


def test_a_bomb_is_refused_by_what_it_unpacks_to():
    """A few hundred kilobytes of zeros."""
    data = archive({"a.json": bytes(archives.MEMBER_BYTES_MAX + 1)})
    assert len(data) < 100_000
    with pytest.raises(BadArchive, match="unpacks to more than"):
        unpack(data)


def test_a_bomb_in_many_small_files_is_refused(monkeypatch):
    """What all of them unpack to counts."""
    monkeypatch.setattr(archives, "UNPACKED_BYTES_MAX", 1000)
    assert len(unpack(archive({str(n): bytes(100) for n in range(10)}))) == 10
    with pytest.raises(BadArchive, match="unpacks to more than"):
        unpack(archive({str(n): bytes(100) for n in range(11)}))


def test_an_archive_with_too_many_files_is_refused(monkeypatch):
    """Before an object is built for each."""
    monkeypatch.setattr(archives, "MEMBERS_MAX", 3)
    with pytest.raises(BadArchive, match="more than 3 files"):
        unpack(archive({str(n): b"" for n in range(4)}))


def test_a_damaged_archive_is_refused():
    """Cut anywhere, it gives an error of ours or still its files."""
    data = archive({"a.json": b"0123456789" * 50, "b.json": b"2"})
    for end in range(4, len(data)):
        with pytest.raises(BadArchive, match="damaged"):
            unpack(data[:end])


def test_files_that_cannot_be_read_do_not_stop_the_others():
    """Encrypted ones, foreign compression, damaged ones and archives in the archive."""
    data = bytearray(archive({"bad": b"0123456789" * 50, "inner": archive({}), "good": b"1"}))
    data[40] ^= 0xFF
    first, inner, good = unpack(bytes(data))
    assert (first.name, first.data, first.fault) == ("bad", b"", "it is damaged")
    assert inner.fault == "it is an archive itself"
    assert good == Member("good", b"1")
    (foreign,) = unpack(archive({"a": b"x"}, compression=ZIP_BZIP2))
    assert foreign.fault == "its compression is not supported"
    locked = bytearray(archive({"a": b"x"}))
    locked[locked.index(b"PK\x01\x02") + 8] |= 1
    (encrypted,) = unpack(bytes(locked))
    assert encrypted.fault == "it is encrypted"


def test_no_damage_at_all_makes_it_raise_anything_else():
    """Each byte of an archive, turned."""
    whole = archive({"a.json": b"0123456789" * 5, "b.json": b"2"})
    for place in range(len(whole)):
        turned = bytearray(whole)
        turned[place] ^= 0xFF
        try:
            unpack(bytes(turned))
        except BadArchive as error:
            assert str(error) == "the archive is damaged"  # noqa: PT017 - some still unpack
