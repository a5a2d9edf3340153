"""From unit costs to pods: the arithmetic of docs/operate/capacity.md. Pure.

What is measured stands in `measured.json` beside this file; what is assumed of the load stands here
by name. Nothing else enters the tables.
"""

import re
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

BUSY: Final = 0.6
"""Of a core, before delays grow; also what a Redis should be used at most."""
STREAM_S: Final = 30.0
POD_MIB: Final = 1024
POD_FULL: Final = 0.8
"""Of the memory limit of a pod."""
STREAMS_A_POD: Final = 500
"""What the autoscaler aims at."""
RATES: Final = (10, 30, 60)
PODS: Final = (1, 2, 5, 10, 20, 50, 100)
MIB: Final = 1 << 20
ROUNDS_PER_S: Final = 4.2
"""A round each 0.25 s times 0.8 to 1.1, when nothing hurries it."""
STEADY_PER_S: Final = 3.0
"""With fewer rounds the machine was too slow, and a round cost what it does not cost elsewhere."""
PROCESSES_MAX: Final = 10_000


class Gateway(Struct, frozen=True):
    """What a worker costs, from bench.md."""

    date: str
    event_us: float
    """CPU of an event passed through, over TLS."""
    call_us: float
    """CPU of a call, whole, over TLS: what a stream costs beside its events."""
    stream_bytes: float
    rest_mib: float


class Fleet(Struct, frozen=True):
    """What so many processes cost one Redis."""

    processes: int
    streams: int
    """Of each process."""
    rounds_per_s: float
    """Of each process."""
    redis_us: float
    """CPU of Redis, a round."""
    own_us: float
    """CPU of a process, a round."""
    sent_bytes: float
    """From Redis, a round."""
    received_bytes: float
    asked: float
    """Commands that the process sends, a round."""


class Calls(Struct, frozen=True):
    """What a call costs the servers, with a gateway over Postgres and Redis."""

    calls: int
    rows: float
    """Inserted, updated and deleted, a call."""
    commits: float
    wal_bytes: float


class Measured(Struct, frozen=True):
    """Everything that is measured."""

    date: str
    gateway: Gateway
    fleets: list[Fleet]
    calls: Calls


def from_bench(text: str) -> Gateway:
    """Return the unit costs that stand in bench.md.

    Raises:
        ValueError: A table lacks the row.
    """
    rate = _row(text, "events", "tls", "gateway, responses")
    whole = _row(text, "requests", "tls", "gateway, responses")
    held = _row(text, "held", "tls", "gateway, responses", "plain")
    date = re.search(r"^\| Date +\| (\S+)", text, re.MULTILINE)
    return Gateway(date[1] if date else "", rate[2], whole[2], held[4], held[5])


def _row(text: str, table: str, *wanted: str) -> list[float]:
    upstream, program, *instead = wanted
    body = re.search(rf"<!-- bench:{table} -->(.*?)<!-- /bench:{table} -->", text, re.DOTALL)
    lines = body[1].splitlines() if body else []
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    for name in (upstream, *instead):
        for row in rows:
            if row[:2] == [name, program]:
                return [_number(cell) for cell in row]
    raise ValueError(f"bench.md has no row {program!r} in its table {table!r}")


def _number(cell: str) -> float:
    found = re.match(r"[\d.]+", cell)
    return float(found[0]) if found else 0.0


def streams_a_core(gateway: Gateway, events_per_s: float) -> int:
    """Return how many streams of such a rate fill a core as far as it should be."""
    one = (events_per_s * gateway.event_us + gateway.call_us / STREAM_S) / 1e6
    return int(BUSY / one)


def streams_a_pod(gateway: Gateway) -> int:
    """Return how many streams the memory of a pod holds."""
    return int((POD_MIB * POD_FULL - gateway.rest_mib) * MIB / gateway.stream_bytes)


def line(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return offset and slope of the line that lies closest to the points."""
    count = len(points)
    x, y = sum(p[0] for p in points) / count, sum(p[1] for p in points) / count
    spread = sum((p[0] - x) ** 2 for p in points)
    slope = sum((p[0] - x) * (p[1] - y) for p in points) / spread if spread else 0.0
    return y - slope * x, slope


def steady(measured: Measured) -> list[Fleet]:
    """Return the fleets that kept their pace; all if hardly one did."""
    found = [each for each in measured.fleets if each.rounds_per_s >= STEADY_PER_S]
    return found if len(found) > 1 else measured.fleets


def redis_core(measured: Measured, processes: int) -> float:
    """Return the share of Redis' core that so many processes take, by the fitted line."""
    at, slope = line([(each.processes, each.redis_us) for each in steady(measured)])
    return processes * ROUNDS_PER_S * (at + slope * processes) / 1e6


def processes_a_redis(measured: Measured) -> int:
    """Return how many processes one Redis bears."""
    found = 1
    while redis_core(measured, found + 1) <= BUSY and found < PROCESSES_MAX:
        found += 1
    return found
