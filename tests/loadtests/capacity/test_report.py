"""Tests of loadtests.capacity.report, and that its page is what it would write now."""

import pytest

from loadtests.capacity.report import PAGE, load, tables, written


def test_the_page_follows_from_what_was_measured() -> None:
    """Nobody edits its tables: `make capacity` writes them."""
    page = PAGE.read_text("utf-8")
    assert written(page, load()) == page


def test_every_table_has_a_row_for_each_figure() -> None:
    """A hundred pods among them."""
    measured = load()
    found = tables(measured)
    assert found["redis"].count("\n") == 2 + len(measured.fleets)
    assert "| 100 | 50,000 |" in found["pods"]


def test_a_page_without_a_place_is_refused() -> None:
    """Rather than left as it was."""
    with pytest.raises(ValueError, match="worker"):
        written("nothing", load())
