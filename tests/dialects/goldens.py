"""Golden files: what a translation made of a case, compared with what was kept."""

import os
from pathlib import Path

import msgspec


def agrees(path: Path, data: bytes) -> None:
    """Compare `data` with the file, or write the file anew if that is asked for."""
    if os.environ.get("GOLDEN_UPDATE"):
        path.write_bytes(data)
    assert path.read_bytes() == data


def pretty(data: bytes) -> bytes:
    """Return JSON as people read it."""
    return msgspec.json.format(data, indent=2) + b"\n"


def events_of(case: Path) -> list[bytes]:
    """Return the data of the upstream's events."""
    lines = (case / "upstream.sse").read_bytes().split(b"\n")
    return [line.removeprefix(b"data: ") for line in lines if line.startswith(b"data: ")]


def streamed(reply, case: Path) -> bytes:
    """Return all that a dialect's stream makes of a case's events."""
    return b"".join(reply.feed(event) for event in events_of(case)) + reply.finish()
