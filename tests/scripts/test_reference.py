"""Tests of scripts.reference, and that its pages are what it would write now."""

import pytest
from msgspec import Struct

from scripts.reference import docstrings, pages

PAGES = list(pages())


class Example(Struct):
    """Two fields."""

    one: int = 1
    """The first, on
    two lines."""
    two: int = 2


def test_a_docstring_belongs_to_the_field_above_it() -> None:
    """On one line; a field without one is left out."""
    assert docstrings(Example) == {"one": "The first, on two lines."}


@pytest.mark.parametrize(("path", "text"), PAGES, ids=[path.stem for path, _ in PAGES])
def test_a_page_of_the_reference_is_current(path, text) -> None:
    """`make reference` was run after the last change of a setting."""
    assert path.read_text("utf-8") == text


@pytest.mark.parametrize("text", [text for _, text in PAGES], ids=[p.stem for p, _ in PAGES])
def test_every_row_says_what_its_name_means(text) -> None:
    """An empty cell would be a question left open."""
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| `")]
    assert rows
    assert all(all(cell.strip(" |") for cell in row) for row in rows)
