"""`make planted`: defects put into a copy of the tree on purpose, and whether a check notices.

    make planted ARGS="lease"

One of each class that must never slip through: a lost end, usage that is booked twice, a lease that
leaks, words of another call, a buffer without bound. A copy is patched, the matching check runs on
it, and the defect is caught if that check fails with the words that are expected of it. The exit
status is 1 if one slips through.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

ROOT: Final = Path(__file__).resolve().parents[1]
SOAK: Final = ("-m", "loadtests.soak", "--minutes", "0.3", "--callers", "8")
HUGE: Final = (
    *("-m", "pytest", "-q", "-n", "0", "-p", "no:randomly"),
    "tests/e2e/test_wire_faults.py::test_a_huge_event_is_passed_on_or_refused",
)
LINES_SHOWN: Final = 3


class Planted(msgspec.Struct, frozen=True):
    """A defect: what of which file becomes what, and which check must say what of it."""

    name: str
    file: str
    old: str
    new: str
    check: tuple[str, ...]
    says: str


DEFECTS: Final = (
    Planted(
        "lost terminal",
        "app/relay/reply.py",
        '            self._cut(StreamIncomplete(_CUT), "ended without a terminal event")\n',
        "            pass\n",
        SOAK,
        "I4: ",
    ),
    Planted(
        "duplicate usage",
        "app/relay/attempt.py",
        "            self._desk.observer.attempt"
        "(self.call, self.lease.account, outcome, self.heard)\n",
        "            for _ in range(2):\n"
        "                self._desk.observer.attempt(\n"
        "                    self.call, self.lease.account, outcome, self.heard\n"
        "                )\n"
        '                self._desk.observer.leased(self.call, "again", 0.0)\n',
        SOAK,
        "I4: ",
    ),
    Planted(
        "lease leak",
        "app/relay/attempt.py",
        "            self._desk.admission.settle(self.lease, outcome)\n",
        '            if type(outcome).__name__ != "Abandoned":\n'
        "                self._desk.admission.settle(self.lease, outcome)\n",
        SOAK,
        "I6: ",
    ),
    Planted(
        "cross-talk",
        "app/relay/reply.py",
        "            piece = await self._upstream.read()\n",
        "            piece = await self._upstream.read()\n"
        '            if piece is not None and b"output_text.delta" in piece:\n'
        '                late = globals().setdefault("_LATE", [])\n'
        "                late.append(piece)\n"
        "                piece = late.pop(0) if len(late) > 40 else piece\n",
        SOAK,
        "I3: ",
    ),
    Planted(
        "unbounded buffer",
        "app/wire/sse.py",
        "        if len(self._held) > self._event_bytes_max:\n",
        "        if False:\n",
        HUGE,
        "test_a_huge_event_is_passed_on_or_refused",
    ),
)


def copied(folder: Path) -> None:
    """Copy what belongs to the repository into a folder."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def plant(defect: Planted, folder: Path) -> None:
    """Put a defect into a copy.

    Raises:
        ValueError: The place is not there exactly once: the product has changed since.
    """
    file = folder / defect.file
    text = file.read_text("utf-8")
    if text.count(defect.old) != 1:
        raise ValueError(f"{defect.name}: its place in {defect.file} is not there once")
    file.write_text(text.replace(defect.old, defect.new), "utf-8")


def caught(defect: Planted) -> tuple[bool, list[str]]:
    """Plant a defect and run its check; return whether it was noticed, and what was said."""
    with tempfile.TemporaryDirectory(prefix="codex2api-planted-") as name:
        folder = Path(name)
        copied(folder)
        plant(defect, folder)
        done = subprocess.run(
            [sys.executable, *defect.check], cwd=folder, capture_output=True, check=False,
            env={**os.environ, "PYTHONPATH": str(folder)},
        )  # fmt: skip
    said = (done.stdout + done.stderr).decode("utf-8", "replace").splitlines()
    found = [line.strip() for line in said if defect.says in line]
    return bool(done.returncode and found), found[:LINES_SHOWN] or said[-LINES_SHOWN:]


def main(arguments: Sequence[str] | None = None) -> int:
    """Plant all of them, or those whose names have a word; 1 if one is not caught."""
    parser = argparse.ArgumentParser(prog="python -m scripts.planted", description=__doc__)
    parser.add_argument("word", nargs="?", default="", help="only defects with it in their names")
    asked = parser.parse_args(arguments)
    missed = 0
    for defect in DEFECTS:
        if asked.word not in defect.name:
            continue
        found, said = caught(defect)
        missed += not found
        print(f"{defect.name:<18} {'caught' if found else 'NOT CAUGHT'}", flush=True)
        for line in said:
            print(f"    {line[:150]}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
