"""Delay of an event, from the simulator's write to the loader's read, at a load that is stated.

Load means the part of its core that the program spends: first the number of streams is found at
which that is 60 %, or at which the loader's core is nearly full, whichever comes first; then
streams come and go at that rate, each due at a fixed time. nginx costs so little that the loader
fills up first: its delays are taken at the load that could be reached, which is printed.
"""

import asyncio
import time
from typing import Final

from loadtests.bench.lanes import Lane
from loadtests.bench.loader import StreamCaller, Tally, connect
from loadtests.bench.rig import Rig, Sample
from loadtests.bench.upstream import Pace

NAME: Final = "latency"
GROWTH_MAX: Final = 2.0
STREAMS_MAX: Final = 2000
END_S: Final = 20.0


async def run(rig: Rig) -> None:
    """Find each lane's load, then measure all lanes, taking turns."""
    rig.upstream.answer(Pace(int(rig.plan.pace * rig.plan.stream_s), rig.plan.pace))
    loads = {lane: await _find_load(rig, lane) for lane in rig.lanes}
    if loads and rig.kind == "plain":  # the loader itself speaks no TLS
        loads[rig.direct] = min(loads.values())
    for _ in range(rig.plan.repeat):
        for lane, streams in loads.items():
            sample, tally = await _flow(rig, lane, streams, rig.plan.seconds)
            rig.judge(lane, NAME, sample)
            rig.blame(lane, NAME, tally)
            _book(rig, lane, sample, tally)


async def _find_load(rig: Rig, lane: Lane) -> int:
    """How many streams at a time bring the program to the wanted share of its core."""
    streams = rig.plan.streams
    for left in reversed(range(rig.plan.probes)):
        sample, _tally = await _flow(rig, lane, streams, rig.plan.probe_s)
        # A load that no probe has borne is not measured at: the last one may only lessen it.
        room = min(rig.room(sample), GROWTH_MAX if left else 1.0)
        streams = min(STREAMS_MAX, max(1, int(streams * room)))
        if 0.95 < room < 1.05:
            break
    return streams


async def _flow(rig: Rig, lane: Lane, streams: int, seconds: float) -> tuple[Sample, Tally]:
    """Let streams come and go so that `streams` are open at a time; measure once it is steady."""
    tally = Tally(deltas=int(rig.plan.pace * rig.plan.stream_s))
    arrivals = asyncio.create_task(_arrive(lane, tally, streams / rig.plan.stream_s))
    await asyncio.sleep(rig.plan.stream_s + rig.plan.warm_s)
    tally.recording = True
    sample = await rig.measured(lane.process, tally, seconds)
    tally.recording = False
    arrivals.cancel()
    await asyncio.gather(arrivals, return_exceptions=True)
    await tally.all_ended(END_S)
    return sample, tally


async def _arrive(lane: Lane, tally: Tally, per_s: float) -> None:
    """Begin streams at that rate, for ever; a late one keeps the time at which it was due."""
    due = time.monotonic()
    loop = asyncio.get_running_loop()
    opening: set[asyncio.Task[None]] = set()
    for request in lane.stream_requests():
        if (wait_s := due - time.monotonic()) > 0:
            await asyncio.sleep(wait_s)
        caller = StreamCaller(request, tally, int(due * 1e9))
        task = loop.create_task(connect(lane.port, caller, tally))
        opening.add(task)
        task.add_done_callback(opening.discard)
        due += 1 / per_s


def _book(rig: Rig, lane: Lane, sample: Sample, tally: Tally) -> None:
    if not tally.delays or not tally.firsts:
        rig.book.fault(f"{rig.where(lane, NAME)}: nothing arrived")
        return
    rig.book.add(lane.key(NAME, "events_per_s"), sample.events / sample.wall_s)
    for name, values in (("delay", tally.delays), ("ttfb", tally.firsts)):
        values.sort()
        for percent in (50, 99):
            value_ms = values[len(values) * percent // 100] / 1e6
            rig.book.add(lane.key(NAME, f"{name}_p{percent}_ms"), value_ms)
