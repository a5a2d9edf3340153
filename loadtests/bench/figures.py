"""What a run of the bench leaves behind: figures with all their repeats, and what was wrong.

A figure is named by what was done (`scenario`), how the upstream was reached, which program did
it, on which work, and what was counted. Everything that is printed is computed from figures, so a
saved run can be rendered again. Nothing here measures.
"""

import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

UpstreamKind = Literal["plain", "tls"]
ProgramName = Literal["gateway", "nginx", "direct", "haproxy", "litellm", "portkey", "codex-lb"]
Work = Literal[
    "responses",
    "chat",
    "messages",
    "responses by chat",
    "chat by chat",
    "websocket",
    "forward",
    "none",
]


class Key(msgspec.Struct, frozen=True):
    """What a figure is about."""

    scenario: str
    upstream: UpstreamKind
    program: ProgramName
    work: Work
    metric: str


class Figure(msgspec.Struct, frozen=True):
    """One quantity, once for each repeat."""

    key: Key
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle of the repeats."""
        return statistics.median(self.values)

    @property
    def low(self) -> float:
        """The smallest repeat."""
        return min(self.values)

    @property
    def high(self) -> float:
        """The largest repeat."""
        return max(self.values)


class Run(msgspec.Struct):
    """One run of the bench, as it is saved."""

    began: str
    command: str
    machine: dict[str, str]
    figures: list[Figure] = []
    faults: list[str] = []
    """Why a figure is not valid: a stream lost, a core that was saturated."""

    def find(self, key: Key) -> Figure | None:
        """The figure of that name, or None if it was not measured."""
        return next((figure for figure in self.figures if figure.key == key), None)

    def reference(self, key: Key) -> Figure | None:
        """What nginx took for the same, or None if it was not measured."""
        return self.find(Key(key.scenario, key.upstream, "nginx", "forward", key.metric))

    def of(self, scenario: str) -> Iterator[Figure]:
        """All figures of a scenario, in the order in which they were measured."""
        return (figure for figure in self.figures if figure.key.scenario == scenario)

    def save(self, path: Path) -> None:
        """Write the run as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self)) + b"\n")


def load(path: Path) -> Run:
    """Read a saved run. Raises msgspec.ValidationError where the file is another thing."""
    return msgspec.json.decode(path.read_bytes(), type=Run)


class Book:
    """Collects figures while a bench runs; the repeats of one key become one figure."""

    def __init__(self) -> None:
        self._values: dict[Key, list[float]] = {}
        self.faults: list[str] = []

    def add(self, key: Key, value: float) -> None:
        """Take one repeat of a figure."""
        self._values.setdefault(key, []).append(value)

    def fault(self, text: str) -> None:
        """Note, once, why a figure is not valid."""
        if text not in self.faults:
            self.faults.append(text)

    def figures(self) -> list[Figure]:
        """All figures so far."""
        return [Figure(key, tuple(values)) for key, values in self._values.items()]
