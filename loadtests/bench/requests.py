"""CPU of one request that is not streamed: the upstream answers with some ten events in one write.

The gateway folds them into one JSON answer. nginx forwards the request that the gateway would send,
and passes the stream on as it comes.
"""

import asyncio
import itertools
import time
from collections.abc import Iterator
from typing import Final

from loadtests.bench.lanes import Lane
from loadtests.bench.loader import HOST, Tally, WholeCaller
from loadtests.bench.rig import Rig, Sample
from loadtests.bench.upstream import Pace

NAME: Final = "requests"
DELTAS: Final = 2
"""With prelude, item and end these are some ten events."""
CONNECTIONS: Final = 16
PROBE_PER_S: Final = 200.0


async def run(rig: Rig) -> None:
    """Find a rate that all can bear, then measure every lane, taking turns."""
    rig.upstream.answer(Pace(DELTAS, burst=True, timestamps=False))
    per_s = PROBE_PER_S
    rates = [
        per_s * rig.room(await asked(rig, lane, per_s, rig.plan.probe_s, [])) for lane in rig.lanes
    ]
    per_s = min(rates, default=per_s)
    for _ in range(rig.plan.repeat):
        for lane in rig.lanes:
            times_ms: list[float] = []
            sample = await asked(rig, lane, per_s, rig.plan.seconds, times_ms)
            _book(rig, lane, sample, times_ms)


async def asked(
    rig: Rig,
    lane: Lane,
    per_s: float,
    seconds: float,
    times_ms: list[float],
    *,
    streamed: bool = False,
) -> Sample:
    """Ask at that rate on kept connections; an answered request is an event of the sample.

    With `streamed` the replies are streams, each read to its end.
    """
    wanted = lane.streams if streamed else lane.wholes
    connections = max(1, min(CONNECTIONS, int(per_s)))
    tally = Tally(deltas=DELTAS)
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as tasks:
        turns = []
        for number in range(connections):
            _, caller = await loop.create_connection(WholeCaller, HOST, lane.port)
            requests = itertools.islice(itertools.cycle(wanted), number, None)
            asking = _ask(caller, requests, connections / per_s, tally, times_ms)
            turns.append(tasks.create_task(asking))
            await asyncio.sleep(1 / per_s)
        await asyncio.sleep(rig.plan.warm_s)
        times_ms.clear()
        sample = await rig.measured(lane.process, tally, seconds)
        for turn in turns:
            turn.cancel()
    rig.blame(lane, NAME, tally)
    return sample


async def _ask(
    caller: WholeCaller,
    requests: Iterator[bytes],
    gap_s: float,
    tally: Tally,
    times_ms: list[float],
) -> None:
    """Ask on schedule, for ever; a late answer makes the next question late, never fewer."""
    due = time.monotonic()
    try:
        for request in requests:
            if (wait_s := due - time.monotonic()) > 0:
                await asyncio.sleep(wait_s)
            tally.begun += 1
            status = await caller.ask(request)
            if status == 200:
                tally.events += 1
                times_ms.append(1e3 * (time.monotonic() - due))
            else:
                tally.faults[f"status {status}"] += 1
            due += gap_s
    except OSError as error:
        tally.faults[f"cut off ({type(error).__name__})"] += 1
    finally:
        caller.close()


def _book(rig: Rig, lane: Lane, sample: Sample, times_ms: list[float]) -> None:
    rig.judge(lane, NAME, sample)
    if not times_ms:
        rig.book.fault(f"{rig.where(lane, NAME)}: no request was answered")
        return
    times_ms.sort()
    rig.book.add(lane.key(NAME, "cpu_us"), 1e6 * sample.cpu_s / sample.events)
    rig.book.add(lane.key(NAME, "per_s"), sample.events / sample.wall_s)
    rig.book.add(lane.key(NAME, "p50_ms"), times_ms[len(times_ms) // 2])
    rig.book.add(lane.key(NAME, "p99_ms"), times_ms[len(times_ms) * 99 // 100])
