"""When a run has failed: something was lost, nothing was asked, or tails are long.

The limits can be set by LOAD_FAILURES (a share), LOAD_TTFT_MS and LOAD_GAP_MS (p95).
"""

import os
from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct

NAMES: Final = {"TTFT": "LOAD_TTFT_MS", "gap": "LOAD_GAP_MS"}
DEFAULTS: Final = {"LOAD_FAILURES": 0.001, "LOAD_TTFT_MS": 1_000.0, "LOAD_GAP_MS": 500.0}


class Entry(Struct, frozen=True):
    """What locust knows of one kind of request."""

    name: str
    p95_ms: float


def limit(name: str) -> float:
    """Return a limit, as the environment says or by default."""
    return float(os.environ.get(name, DEFAULTS[name]))


def missed(requests: int, fail_ratio: float, entries: Iterable[Entry]) -> Iterator[str]:
    """Yield a sentence for each threshold that was missed."""
    if not requests:
        yield "nothing was asked"
    if fail_ratio > limit("LOAD_FAILURES"):
        yield f"{fail_ratio:.2%} failed"
    for entry in entries:
        name = NAMES.get(entry.name.rpartition(" ")[2])
        if name is not None and entry.p95_ms > limit(name):
            yield f"{entry.name}: p95 {entry.p95_ms:.0f} ms is over {limit(name):.0f} ms"
