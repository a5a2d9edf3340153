"""Is every page usable in under a second with full tables, and does the data plane's p99 stay?

    python -m loadtests.admin                        10,000 accounts, 1,000,000 log rows, SQLite
    python -m loadtests.admin --store postgres
    python -m loadtests.admin --folder build/admin   keeps what was filled for the next time

The same callers ask one gateway all the time, in turns with nobody at its admin UI, with somebody
at that of a twin on the same machine, and with somebody at its own. A browser needs the processor
itself; so what the admin UI does to calls is the difference of the last two.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from random import Random
from statistics import median
from typing import Final

import msgspec
from msgspec import Struct, field

from app.settings import Driver
from loadtests.admin.homes import SUBJECT, TWIN, Size, filled
from loadtests.callers import Callers, Pace, Seen
from loadtests.outages.verdict import Window, failures, percentile
from tests.e2e.programs import API_KEY, Gateway

USABLE_MS: Final = 1_000.0
RATIO_MAX: Final = 1.25
ALONE: Final = "alone"
ALONE_S: Final = 8.0
CALLERS: Final = 3
PACE: Final = Pace(deltas=(20, 20), events_per_s=(200, 200))


class Found(Struct):
    """What was seen: calls, when which tour was made, and how long its steps took."""

    seen: Sequence[Seen] = ()
    windows: dict[str, list[Window]] = field(default_factory=dict)
    times: dict[str, list[float]] = field(default_factory=dict)

    def p99_s(self, where: str) -> float:
        """Return how long the slowest hundredth of calls took, at least."""
        calls = [each for window in self.windows[where] for each in window.of(self.seen)]
        return percentile([each.seconds for each in calls], 0.99)

    def slow(self) -> list[str]:
        """Return the steps of which not even the median tour was fast enough."""
        return [name for name, times in self.times.items() if median(times) >= USABLE_MS]


async def measure(gateways: Mapping[str, Gateway], *, rounds: int) -> Found:
    """Ask for calls all the time, and look at pages in turns."""
    found = Found()
    callers = Callers(gateways[SUBJECT].url, key=API_KEY, name="call", rng=Random(1), pace=PACE)
    browser = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "loadtests.admin.tour", stdin=PIPE, stdout=PIPE
    )
    asking = asyncio.get_running_loop().create_task(callers.run(CALLERS))
    try:
        # The first tours warm up what a gateway in use has warm.
        for gateway in gateways.values():
            await _tour(browser, gateway)
        for _ in range(rounds):
            for where in (ALONE, TWIN, SUBJECT):
                began = time.monotonic()
                if where == ALONE:
                    await asyncio.sleep(ALONE_S)
                else:
                    times = await _tour(browser, gateways[where])
                    if where == SUBJECT:
                        for name, each in times.items():
                            found.times.setdefault(name, []).append(each)
                found.windows.setdefault(where, []).append(Window(began, time.monotonic()))
    finally:
        asking.cancel()
        browser.kill()
        await browser.wait()
    found.seen = callers.seen
    return found


async def _tour(browser: Process, gateway: Gateway) -> dict[str, float]:
    if browser.stdin is None or browser.stdout is None:
        raise TypeError("the browser was started without pipes")
    browser.stdin.write(f"{gateway.url}\n".encode())
    line = await browser.stdout.readline()
    return msgspec.json.decode(line, type=dict[str, float])


def lines(found: Found) -> list[str]:
    """Return what to print."""
    told = [f"{'':38}{'median':>8}{'worst':>8} ms"]
    for name, times in found.times.items():
        late = "" if median(times) < USABLE_MS else "  TOO SLOW"
        told.append(f"{name:38}{median(times):8.0f}{max(times):8.0f}{late}")
    for where, what in (
        (ALONE, "nobody at an admin UI"),
        (TWIN, "somebody at another's"),
        (SUBJECT, "somebody at its own"),
    ):
        calls = sum(len(window.of(found.seen)) for window in found.windows[where])
        told.append(f"p99 of calls, {what:24}{1e3 * found.p99_s(where):8.0f} ms, {calls} calls")
    ratio = found.p99_s(SUBJECT) / found.p99_s(TWIN)
    failed = failures(found.seen)
    told.append(f"{ratio:.2f}x, at most {RATIO_MAX}x; {len(failed)} calls failed.")
    return told + failed[:10]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 1 if a page was slow, if calls were, or if one failed."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.admin", description=__doc__)
    parser.add_argument("--store", type=Driver, choices=list(Driver), default=Driver.SQLITE)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--folder", type=Path, help="kept, with SQLite")
    asked = parser.parse_args(arguments)
    size = Size(asked.accounts, asked.rows)
    kept = nullcontext(asked.folder) if asked.folder else None
    with kept or tempfile.TemporaryDirectory(prefix="codex2api-admin-") as named:
        folder = Path(named)
        folder.mkdir(parents=True, exist_ok=True)
        began = time.perf_counter()
        with filled(folder.resolve(), store=asked.store, size=size) as gateways:
            print(
                f"{asked.store}: {size.accounts:,} accounts, {size.rows:,} log rows, "
                f"there after {time.perf_counter() - began:.0f} s",
                flush=True,
            )
            found = asyncio.run(measure(gateways, rounds=asked.rounds))
    print("\n".join(lines(found)))
    moved = found.p99_s(SUBJECT) > RATIO_MAX * found.p99_s(TWIN)
    return 1 if found.slow() or moved or failures(found.seen) else 0


if __name__ == "__main__":
    sys.exit(main())
