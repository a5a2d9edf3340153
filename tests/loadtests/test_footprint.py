"""What is counted as taken on a disk."""

import pytest

from loadtests import footprint


def test_a_folder_takes_what_its_files_take(tmp_path):
    """In blocks; what a link points at is another's."""
    empty = footprint.size(tmp_path)
    (tmp_path / "one").write_bytes(bytes(100_000))
    (tmp_path / "link").symlink_to(tmp_path / "one")
    assert 100_000 <= footprint.size(tmp_path) - empty < 120_000


def test_requests_take_room(tmp_path):
    """And the journal does without any."""
    (tmp_path / "few").mkdir()
    (tmp_path / "more").mkdir()
    few, more = footprint.data(tmp_path / "few", 10), footprint.data(tmp_path / "more", 5_000)
    assert 16 << 20 < few < more


@pytest.mark.parametrize(("files", "status"), [(100, 0), (600, 1)])
def test_too_much_is_a_failure(monkeypatch, capsys, files, status):
    """Status 1, and both figures."""
    monkeypatch.setattr(footprint, "installed", lambda _: files * 10**6)
    assert footprint.main(["--requests", "10"]) == status
    assert f"installed files {files} MB" in capsys.readouterr().out
