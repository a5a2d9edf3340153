"""CPU of one streamed event: many streams, each at a slow fixed pace, each event its own write.

The streams are opened and warmed up first and end after the measurement, so that only events are
counted against the CPU. A read an event at the loader shows that they really came one by one.
"""

import math
from typing import Final

from loadtests.bench.lanes import Lane
from loadtests.bench.loader import Tally, open_streams
from loadtests.bench.rig import Rig, Sample
from loadtests.bench.upstream import Pace

NAME: Final = "events"
END_S: Final = 20.0
LUMPED_FROM: Final = 1.25
"""Events to a read from which they did not travel one by one: they were held back, or all is late,
and their CPU can't be compared."""


async def run(rig: Rig) -> None:
    """Measure every lane, taking turns, as often as the plan wants."""
    for _ in range(rig.plan.repeat):
        for lane in (*rig.lanes, *rig.translated):
            sample, tally = await stream(rig, lane, streams=rig.plan.streams)
            rig.judge(lane, NAME, sample)
            rig.blame(lane, NAME, tally)
            if not sample.events:
                rig.book.fault(f"{rig.where(lane, NAME)}: nothing arrived")
                continue
            if sample.events > LUMPED_FROM * sample.reads:
                lumps = sample.events / sample.reads
                rig.book.fault(f"{rig.where(lane, NAME)}: events came {lumps:.2f} to a read")
            rig.book.add(lane.key(NAME, "cpu_us"), 1e6 * sample.cpu_s / sample.events)
            rig.book.add(lane.key(NAME, "events_per_read"), sample.events / sample.reads)
            rig.book.add(lane.key(NAME, "events_per_s"), sample.events / sample.wall_s)


async def stream(rig: Rig, lane: Lane, *, streams: int) -> tuple[Sample, Tally]:
    """Open that many streams, measure while all run, and wait for their proper ends."""
    plan = rig.plan
    open_s = streams / 400
    deltas = math.ceil(plan.pace * (open_s + plan.warm_s + plan.seconds + 0.5))
    rig.upstream.answer(Pace(deltas, plan.pace))
    tally = Tally(deltas=deltas)
    await open_streams(lane, tally, count=streams, over_s=open_s)
    await rig.measured(lane.process, tally, plan.warm_s)
    tally.recording = True
    sample = await rig.measured(lane.process, tally, plan.seconds)
    tally.recording = False
    await tally.all_ended(END_S)
    return sample, tally
