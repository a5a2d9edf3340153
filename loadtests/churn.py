"""`make churn MINUTES=30`: sockets come and go for real minutes, and leave nothing behind.

Waves of turns, with the faults of `loadtests.isolation` among them, are followed by quiet in which
idle sockets grow old. The last six minutes are quiet altogether: by then every socket must have
gone by itself. Each minute a line is printed; at the end sockets, tasks, table entries and open
files must be back where they were before the first turn, and memory where it was after the first
wave. The exit status is 1 if they are not.
"""

import argparse
import asyncio
import gc
import itertools
import os
import sys
import time
from pathlib import Path
from typing import Final

from msgspec import Struct

from app.upstream.codex import CodexUpstream
from loadtests.isolation import PATIENCE_S, Run, opened
from loadtests.simulator.server import Simulator

MINUTES: Final = 30.0
QUIET_S: Final = 6 * 60.0
"""Five minutes until a socket that nobody uses goes, and one until the next sweep."""
WAVE_TURNS: Final = 250
WAVE_S: Final = 20.0
MEMORY_MIB: Final = 16.0
"""What the allocator may keep of what was used in between."""


class Standing(Struct, frozen=True):
    """What there is now."""

    sockets: int
    upstream_sockets: int
    entries: int
    tasks: int
    files: int
    rss_mib: float


async def run(
    minutes: float, *, seed: int, wave_s: float = WAVE_S, quiet_s: float = QUIET_S
) -> bool:
    """Churn for so long; False if something was left behind."""
    async with opened(seed=seed, records_max=1_000) as (simulator, upstream), upstream.sockets:
        before = _standing(simulator, upstream)
        looking = asyncio.create_task(upstream.sockets.run())
        whole = Run(simulator, upstream, seed=seed, patience_s=PATIENCE_S)
        ends_at = time.monotonic() + max(wave_s, minutes * 60 - quiet_s)
        warm = before
        for wave in itertools.count():
            began = time.monotonic()
            await whole.turns(WAVE_TURNS, lambda _: None)
            if wave == 0:
                warm = _standing(simulator, upstream)
            if wave % 3 == 0:
                print(_line(wave, _standing(simulator, upstream)), flush=True)
            await asyncio.sleep(max(0.0, began + wave_s - time.monotonic()))
            if time.monotonic() >= ends_at:
                break
        print("quiet from here on", flush=True)
        for _ in range(6):
            await asyncio.sleep(quiet_s / 6)
            print(_line(wave, _standing(simulator, upstream)), flush=True)
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        after = _standing(simulator, upstream)
    print(f"before:          {before}\nafter one wave:  {warm}\nat the end:      {after}")
    print(f"closed: {dict(upstream.sockets.cleanups)}, turns: {dict(upstream.sockets.turns)}")
    print(f"foreign tags read: {len(whole.tally.foreign)}")
    return whole.tally.foreign == [] and back(before, warm, after)


def back(before: Standing, warm: Standing, after: Standing) -> bool:
    """Tell whether everything is where it was: memory as after the first wave."""
    counted = (after.sockets, after.upstream_sockets, after.entries, after.tasks)
    wanted = (before.sockets, before.upstream_sockets, before.entries, before.tasks)
    # Connections of HTTP stay open for a while.
    files = after.files <= warm.files
    return counted == wanted and files and after.rss_mib <= warm.rss_mib + MEMORY_MIB


def _standing(simulator: Simulator, upstream: CodexUpstream) -> Standing:
    gc.collect()
    sockets = upstream.sockets
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return Standing(
        sockets=sockets.connections()["open"],
        upstream_sockets=simulator.world.gauges.sockets_open,
        entries=sockets.entries - len(sockets.detours),
        tasks=len(asyncio.all_tasks()),
        files=sum(1 for _ in Path("/proc/self/fd").iterdir()),
        rss_mib=round(pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20), 1),
    )


def _line(wave: int, now: Standing) -> str:
    return (
        f"{time.strftime('%H:%M:%S')} wave {wave}: {now.sockets} sockets, {now.entries} entries, "
        f"{now.tasks} tasks, {now.files} files, {now.rss_mib} MiB"
    )


def main() -> int:
    """Run, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.churn", description=__doc__)
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    good = asyncio.run(run(given.minutes, seed=given.seed))
    print("verdict: back to the baseline" if good else "verdict: something was left behind")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
