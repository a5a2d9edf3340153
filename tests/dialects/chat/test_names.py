"""Names and call ids that fit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dialects.chat.names import LENGTH_MAX, short_id, short_name

LONG = "a" * 70


@pytest.mark.parametrize("shorten", [short_name, short_id])
def test_what_fits_is_left_alone(shorten):
    """64 characters are allowed, so they stay."""
    assert shorten("x" * LENGTH_MAX) == "x" * LENGTH_MAX


@pytest.mark.parametrize("shorten", [short_name, short_id])
@given(text=st.text(alphabet="abc_-", min_size=LENGTH_MAX + 1, max_size=200))
def test_what_is_too_long_fits_afterwards(shorten, text):
    """The result has exactly the allowed length, and is the same every time."""
    assert len(shorten(text)) == LENGTH_MAX
    assert shorten(text) == shorten(text)


@pytest.mark.parametrize("shorten", [short_name, short_id])
def test_names_that_begin_alike_stay_apart(shorten):
    """The digest tells apart what the cut makes equal."""
    assert shorten(LONG + "1") != shorten(LONG + "2")


def test_an_mcp_name_keeps_its_tail():
    """The tool's own name stands last, and it is what the model needs to read."""
    name = "mcp__" + "server" * 10 + "__read_file"
    short = short_name(name)
    assert short.startswith("mcp__")
    assert "__read_file_" in short
    assert len(short) == LENGTH_MAX
