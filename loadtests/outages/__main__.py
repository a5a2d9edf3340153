"""Takes a server away under load, and says what callers and books noticed of it.

python -m loadtests.outages postgres               for ten minutes
python -m loadtests.outages postgres --minutes 1
python -m loadtests.outages redis                  every fault twice, five seconds each
python -m loadtests.outages redis --seconds 3 --rounds 1
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from loadtests.outages import postgres, redis
from loadtests.outages.verdict import RATIO_MAX

FAULTS_SHOWN: Final = 20


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 1 if calls failed or were slow, or if anything was lost."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.outages", description=__doc__)
    parser.add_argument("server", choices=["postgres", "redis"])
    parser.add_argument("--minutes", type=float, default=10.0, help="10 if not given")
    parser.add_argument("--seconds", type=float, default=5.0, help="of one fault of Redis")
    parser.add_argument("--rounds", type=int, default=2, help="of all faults of Redis")
    asked = parser.parse_args(arguments)
    if asked.server == "redis":
        return _redis(asked.seconds, asked.rounds)
    with tempfile.TemporaryDirectory(prefix="codex2api-outage-") as folder:
        found = postgres.run(Path(folder), seconds=asked.minutes * 60)
    speed = found.pace
    print(
        f"Postgres away for {asked.minutes:g} minutes: {found.calls} calls, p99"
        f" {speed.subject_s * 1e3:.0f} ms, beside {speed.control_s * 1e3:.0f} ms with it"
        f" ({speed.ratio:.2f}x, at most {RATIO_MAX}x); {found.judged} keys judged meanwhile.\n"
        f"Caught up {found.caught_up_s:.1f} s after it was back:"
        f" {found.audit.whole} calls heard to their end, {found.audit.broken} broken off."
    )
    for fault in found.faults[:FAULTS_SHOWN]:
        print(f"  {fault}")
    print(f"{len(found.faults)} faults." if found.faults else "No failed call, all books agree.")
    return 1 if found.faults or speed.ratio > RATIO_MAX else 0


def _redis(seconds: float, rounds: int) -> int:
    with tempfile.TemporaryDirectory(prefix="codex2api-outage-") as folder:
        found = asyncio.run(redis.run(Path(folder), seconds=seconds, rounds=rounds))
    print("\n".join(redis.lines(found)))
    for fault in found.faults[:FAULTS_SHOWN]:
        print(f"  {fault}")
    print(f"{len(found.faults)} faults." if found.faults else "No failed call, all sums agree.")
    return 1 if found.faults or found.ratio > RATIO_MAX else 0


if __name__ == "__main__":
    sys.exit(main())
