"""Figures as blocks, in any width."""

import pytest

from app.simulation.plot import WIDTH_MAX, WIDTH_MIN, Row, chart


def test_a_chart_has_a_line_for_each_row_and_the_hours_below():
    """Names and notes stand in columns."""
    rows = [Row("a", (0.0, 0.25, 0.5, 1.0) * 4, "x"), Row("long", (0.0,) * 16)]
    lines = chart(rows, top=1.0, hours=8.0, width=WIDTH_MIN)
    assert lines == [
        "a     ▂▄█ ▂▄█ ▂▄█ ▂▄█ x",
        "long",
        "     0 h 2 h 4 h  8 h",
    ]


def test_what_shares_a_column_is_shown_by_its_largest():
    """A peak is never lost, and the smallest figure is seen."""
    figures = [0.0] * 400
    figures[123] = 5.0
    figures[300] = 0.001
    (line, _) = chart([Row("a", tuple(figures))], top=4.0, hours=1.0, width=60)
    assert line.count("█") == line.count("▁") == 1


@pytest.mark.parametrize("width", [0, 40, 80, 10_000])
def test_no_line_is_wider_than_asked_for(width):
    """A terminal that is too narrow or of no known width gets a chart that can be read."""
    rows = [Row("balanced", (1.0,) * 240, "100 % at the end")]
    lines = chart(rows, top=1.0, hours=8_784.0, width=width)
    assert all(len(line) <= min(max(width, WIDTH_MIN), WIDTH_MAX) for line in lines)
    assert "█" * 8 in lines[0]


def test_nothing_to_show_is_shown_as_nothing():
    """A scale of 0 divides nothing."""
    assert chart([Row("a", (0.0,) * 240)], top=0.0, hours=1.0, width=60)[0] == "a"
