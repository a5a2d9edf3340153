"""Plots are well-formed and show what they are given."""

import xml.etree.ElementTree as ET

import pytest

from loadtests.soak.plots import rates, svg, thinned

LINE = "{http://www.w3.org/2000/svg}polyline"


@pytest.mark.parametrize(
    "points", [[], [(0.0, 5.0)], [(0.0, 0.0), (60.0, 0.0)], [(float(n), n % 7) for n in range(900)]]
)
def test_any_course_can_be_drawn(points):
    """Also none at all, and one that is flat."""
    drawn = ET.fromstring(svg("Memory <of all>", "MiB", points))  # noqa: S314
    places = [float(n) for pair in drawn.find(LINE).get("points").split() for n in pair.split(",")]
    assert len(places) >= 4
    assert all(0 <= place <= 760 for place in places)


def test_what_is_higher_is_drawn_higher():
    """An axis that begins at 0 has no exaggeration."""
    drawn = ET.fromstring(svg("a", "b", [(0.0, 10.0), (1.0, 20.0)]))  # noqa: S314
    first, second = [pair.split(",") for pair in drawn.find(LINE).get("points").split()]
    assert float(first[0]) < float(second[0])
    assert float(first[1]) > float(second[1])


def test_many_points_are_thinned_and_the_last_one_stays():
    """The end matters most."""
    points = [(float(n), float(n)) for n in range(5_000)]
    fewer = thinned(points)
    assert len(fewer) <= 601
    assert fewer[-1] == points[-1]


def test_a_rate_is_growth_by_time():
    """Two looks at the same moment have none."""
    assert rates([(0.0, 0.0), (2.0, 10.0), (2.0, 11.0), (3.0, 12.0)]) == [(2.0, 5.0), (3.0, 1.0)]
