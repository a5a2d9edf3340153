"""Tests of app.cli.exporting."""

import click
import msgspec
import pytest

from app.cli.exporting import deliver


def test_entries_go_to_stdout(capsys) -> None:
    """A script may pipe them on, encrypted for instance."""
    deliver([{"type": "codex"}], None)
    assert msgspec.json.decode(capsys.readouterr().out) == [{"type": "codex"}]


def test_entries_go_to_a_new_private_file(tmp_path, capsys) -> None:
    """What was told stands on stderr; a file that can't be made is explained."""
    deliver([{"type": "codex"}], tmp_path / "x")
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o600
    assert "keep that file safe" in capsys.readouterr().err
    with pytest.raises(click.ClickException, match="File exists"):
        deliver([], tmp_path / "x")
