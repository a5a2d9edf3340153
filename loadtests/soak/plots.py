"""Draws how something went over time, as an SVG that a page can show."""

from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import Final

WIDTH: Final = 760
HEIGHT: Final = 200
LEFT: Final = 64
RIGHT: Final = 16
TOP: Final = 34
BOTTOM: Final = 28
TICKS: Final = 4
STYLE: Final = (
    "text{font:12px sans-serif;fill:#57606a}.t{font-weight:bold;fill:#24292f}"
    "line{stroke:#d0d7de}polyline{fill:none;stroke:#0969da;stroke-width:1.5}"
)
Point = tuple[float, float]


def svg(title: str, unit: str, points: Sequence[Point], *, zero: bool = True) -> str:
    """Draw the points, whose time is in seconds; `zero` begins the scale of values at 0."""
    if len(points) < 2:
        points = [*points, *points] if points else [(0.0, 0.0), (1.0, 0.0)]
    times = [at for at, _ in points]
    values = [value for _, value in points]
    low = 0.0 if zero else min(values)
    high = max(*values, low + 1e-9)
    step = _step((high - low) / TICKS)
    low, high = low // step * step, (high // step + 1) * step
    span = max(times[-1] - times[0], 1e-9)

    def x(at: float) -> float:
        return LEFT + (at - times[0]) / span * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    drawn = [f'<text class="t" x="{LEFT}" y="18">{escape(title)}, {escape(unit)}</text>']
    for number in range(round((high - low) / step) + 1):
        value = low + number * step
        drawn.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
            f'<text x="{LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value:g}</text>'
        )
    minutes = span / 60
    for number in range(TICKS + 1):
        at = times[0] + span * number / TICKS
        drawn.append(
            f'<text x="{x(at):.1f}" y="{HEIGHT - 8}" text-anchor="middle">'
            f"{minutes * number / TICKS:.3g} min</text>"
        )
    line = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in thinned(points))
    drawn.append(f'<polyline points="{line}"/>')
    inner = "\n".join(drawn)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n"
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>\n{inner}\n</svg>\n'
    )


def thinned(points: Sequence[Point], most: int = 600) -> Sequence[Point]:
    """Return at most so many of the points, evenly; the last one is among them."""
    if len(points) <= most:
        return points
    every = -(-len(points) // most)
    return [*points[:-1:every], points[-1]]


def rates(points: Sequence[Point]) -> list[Point]:
    """Return how fast something that counts up grew between each two points."""
    return [
        (later[0], (later[1] - earlier[1]) / (later[0] - earlier[0]))
        for earlier, later in pairwise(points)
        if later[0] > earlier[0]
    ]


def _step(rough: float) -> float:
    """Return a round number near a rough one."""
    size = 1.0
    while size * 10 <= rough:
        size *= 10
    while size > rough and size > 1e-6:
        size /= 10
    return next((size * each for each in (1, 2, 5) if size * each >= rough), size * 10)
