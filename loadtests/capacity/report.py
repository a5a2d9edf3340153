"""Writes the tables of docs/operate/capacity.md from what was measured.

`python -m loadtests.capacity.report` takes `measured.json` as it is; with `--bench` it first takes
the costs of a worker from bench.md.
"""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from loadtests.capacity.figures import (
    BUSY,
    PODS,
    RATES,
    STREAM_S,
    STREAMS_A_POD,
    Measured,
    from_bench,
    processes_a_redis,
    redis_core,
    steady,
    streams_a_core,
    streams_a_pod,
)

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "operate" / "capacity.md"
MEASURED: Final = Path(__file__).parent / "measured.json"
BENCH: Final = ROOT / "bench.md"


def load(path: Path = MEASURED) -> Measured:
    """Return what was measured."""
    return msgspec.json.decode(path.read_bytes(), type=Measured)


def save(measured: Measured, path: Path = MEASURED) -> None:
    """Keep what was measured."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(measured), indent=2) + b"\n")


def tables(measured: Measured) -> dict[str, str]:
    """Return the text between the markers of the page, by name."""
    return {
        "worker": _worker(measured),
        "redis": _redis(measured),
        "servers": _servers(measured),
        "pods": _pods(measured),
    }


def written(page: str, measured: Measured) -> str:
    """Return the page with its tables as they follow from the figures."""
    for name, text in tables(measured).items():
        marks = rf"(<!-- capacity:{name} -->\n).*?(<!-- /capacity:{name} -->)"
        found = re.search(marks, page, re.DOTALL)
        if found is None:
            raise ValueError(f"the page has no place for {name!r}")
        page = f"{page[: found.end(1)]}\n{text}\n{page[found.start(2) :]}"
    return page


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _worker(measured: Measured) -> str:
    gateway = measured.gateway
    rows = [
        ("CPU of an event, over TLS", f"{gateway.event_us:.1f} us"),
        ("CPU of a call beside its events", f"{gateway.call_us:,.0f} us"),
        ("memory of a stream", f"{gateway.stream_bytes / 1e3:.0f} KB"),
        ("memory at rest, 100 accounts", f"{gateway.rest_mib:.0f} MiB"),
        *(
            (f"streams a core, {rate} events/s each", f"{streams_a_core(gateway, rate):,}")
            for rate in RATES
        ),
        ("streams that the memory of a pod (1 GiB) holds", f"{streams_a_pod(gateway):,}"),
    ]
    return _table(("One worker", f"bench.md of {gateway.date}"), rows)


def _redis(measured: Measured) -> str:
    head = (
        "Processes", "rounds/s each", "CPU of Redis, a round", "CPU of a process, a round",
        "from Redis, a round", "Redis' core, at that pace",
    )  # fmt: skip
    kept = steady(measured)
    rows = [
        (
            f"{each.processes}" + ("" if each in kept else " (too slow)"),
            f"{each.rounds_per_s:.1f}",
            f"{each.redis_us:,.0f} us",
            f"{each.own_us:,.0f} us",
            f"{each.sent_bytes / 1e3:.1f} KB",
            f"{each.processes * each.rounds_per_s * each.redis_us / 1e4:.0f} %",
        )
        for each in measured.fleets
    ]
    return _table(head, rows)


def _servers(measured: Measured) -> str:
    calls = measured.calls
    rows = [
        ("rows written", f"{calls.rows:.2f}"),
        ("transactions", f"{calls.commits:.3f}"),
        ("write-ahead log", f"{calls.wal_bytes / 1e3:.1f} KB"),
    ]
    return _table((f"Postgres, over {calls.calls:,} calls", "a call"), rows)


def _pods(measured: Measured) -> str:
    head = (
        "Pods", "streams", "calls/s", "Redis' core", "from Redis", "rows/s in Postgres",
        "write-ahead log",
    )  # fmt: skip
    rows = []
    for pods in PODS:
        streams = pods * STREAMS_A_POD
        per_s = streams / STREAM_S
        share = redis_core(measured, pods)
        nearest = min(steady(measured), key=lambda each: abs(each.processes - pods))
        sent = nearest.sent_bytes / nearest.processes * pods * pods * nearest.rounds_per_s
        rows.append(
            (
                f"{pods}",
                f"{streams:,}",
                f"{per_s:,.0f}",
                f"{share * 100:.0f} %" + ("" if share <= BUSY else ", too much"),
                f"{sent / 1e6:.1f} MB/s",
                f"{per_s * measured.calls.rows:,.0f}",
                f"{per_s * measured.calls.wal_bytes / 1e6:.1f} MB/s",
            )
        )
    known = max(each.processes for each in steady(measured))
    last = (
        f"\nOne Redis bears about {processes_a_redis(measured):,} processes at this load. "
        f"What is beyond {known} processes is extrapolated.\n"
    )
    return _table(head, rows) + last


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtests.capacity.report", description=__doc__
    )
    parser.add_argument("--bench", action="store_true", help="take the worker's costs anew")
    measured = load()
    if parser.parse_args().bench:
        measured = msgspec.structs.replace(measured, gateway=from_bench(BENCH.read_text("utf-8")))
        save(measured)
    PAGE.write_text(written(PAGE.read_text("utf-8"), measured), "utf-8")


if __name__ == "__main__":
    main()
