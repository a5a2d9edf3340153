"""Tests of app.cli.progress."""

import pytest

from app.cli.progress import bar


def test_a_bar_is_told_its_length_later(capsys: pytest.CaptureFixture[str]) -> None:
    """It stands on stderr, so that stdout is only what was asked for."""
    with bar("Copying", hidden=False) as progress:
        progress.total(10)
        progress.done(10)
    said = capsys.readouterr()
    assert said.out == ""
    assert "Copying" in said.err


def test_what_fails_before_it_begins_shows_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    """Only its message is to be seen."""
    with bar("Copying", hidden=False) as progress:
        progress.done(1)
    assert capsys.readouterr().err == ""


def test_a_hidden_bar_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """As scripts want it."""
    with bar("Copying", hidden=True) as progress:
        progress.total(1)
        progress.done(1)
    assert capsys.readouterr().err == ""
