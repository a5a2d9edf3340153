"""Draws figures over time with block characters, for a terminal of any width.

One line for each row of figures, all to the same scale, and a line of hours below.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

_BLOCKS: Final = " ▁▂▃▄▅▆▇█"
WIDTH_MIN: Final = 40
WIDTH_MAX: Final = 160


class Row(Struct, frozen=True):
    """Figures with a name; what is said of them stands behind."""

    name: str
    figures: tuple[float, ...]
    note: str = ""


def chart(rows: Sequence[Row], *, top: float, hours: float, width: int) -> list[str]:
    """Return lines at most `width` columns wide; a full block stands for `top` and more.

    Several figures that share a column are shown by their largest.
    """
    names = max(len(row.name) for row in rows)
    notes = max(len(row.note) for row in rows)
    columns = min(max(width, WIDTH_MIN), WIDTH_MAX) - names - notes - 2
    columns = max(8, min(columns, len(rows[0].figures)))
    lines = [
        f"{row.name:<{names}} {_bars(row.figures, top, columns):<{columns}} {row.note}".rstrip()
        for row in rows
    ]
    return [*lines, f"{'':<{names}} {_axis(hours, columns)}".rstrip()]


def _bars(figures: Sequence[float], top: float, columns: int) -> str:
    count = len(figures)
    edges = [column * count // columns for column in range(columns + 1)]
    peaks = [max(figures[edges[n] : edges[n + 1]]) for n in range(columns)]
    return "".join(_BLOCKS[_height(peak, top)] for peak in peaks)


def _height(figure: float, top: float) -> int:
    """Return which block shows the figure: none only for nothing at all."""
    if figure <= 0 or top <= 0:
        return 0
    return max(1, min(len(_BLOCKS) - 1, round(figure / top * (len(_BLOCKS) - 1))))


def _axis(hours: float, columns: int) -> str:
    """Return a line with up to five hours on it, as many as have room."""
    end = f"{hours:g} h"
    free = columns - len(end)
    line = ""
    for part in range(4):
        label = f"{hours * part / 4:g} h"
        place = part * columns // 4
        if len(line) <= place and place + len(label) < free:
            line = f"{line:<{place}}{label} "
    return f"{line:<{free}}{end}"
