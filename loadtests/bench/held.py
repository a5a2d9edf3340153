"""Memory of a stream that is held open: some thousand slow ones at once, none lost or reordered.

Resident memory of the whole tree is read before the first is opened and again when all are open
and have had events for a while; the difference is divided by their number. Every lane gets a fresh
program, since one that has held streams has memory to spare; a few streams come first, to grow
what grows only once.
"""

import asyncio
import math
from typing import Final

from loadtests.bench.lanes import Lane
from loadtests.bench.loader import StreamCaller, Tally, open_streams
from loadtests.bench.rig import Rig
from loadtests.bench.upstream import Pace, Upstream

NAME: Final = "held"
WARMING: Final = 50
END_S: Final = 60.0


async def run(rig: Rig) -> None:
    """Hold streams open in every lane, once each: memory hardly varies between runs."""
    for lane in rig.lanes:
        with rig.another(lane) as fresh:
            await warm(fresh, rig.upstream)
            await hold(rig, fresh, rig.upstream, name=NAME, count=rig.plan.held)


async def warm(
    lane: Lane, asked: Upstream, *, count: int = WARMING, kind: type[StreamCaller] = StreamCaller
) -> None:
    """Let a few streams come and go, so that what grows once has grown."""
    asked.answer(Pace(2))
    tally = Tally(deltas=2)
    await open_streams(lane, tally, count=count, over_s=0.5, kind=kind)
    await tally.all_ended(END_S)


async def hold(
    rig: Rig,
    lane: Lane,
    asked: Upstream,
    *,
    name: str,
    count: int,
    kind: type[StreamCaller] = StreamCaller,
) -> None:
    """Hold so many streams of that upstream open and book what they take, under that name."""
    plan, process = rig.plan, lane.process
    if process is None:
        return
    over_s = plan.held_open_s * count / plan.held
    deltas = math.ceil(plan.held_pace * (over_s + plan.held_s)) + 2
    asked.answer(Pace(deltas, plan.held_pace))
    before = process.rss_bytes()
    tally = Tally(deltas=deltas)
    await open_streams(lane, tally, count=count, over_s=over_s, kind=kind)
    await asyncio.sleep(plan.held_s)
    now_open, now_bytes = tally.open, process.rss_bytes()
    await tally.all_ended(over_s + END_S)
    if now_open < count:
        where = rig.where(lane, name)
        rig.book.fault(f"{where}: only {now_open} of {count} streams were open at once")
    rig.blame(lane, name, tally)
    rig.book.add(lane.key(name, "streams"), now_open)
    rig.book.add(lane.key(name, "whole_at_end"), tally.complete)
    rig.book.add(lane.key(name, "rss_before_bytes"), before)
    rig.book.add(lane.key(name, "rss_with_bytes"), now_bytes)
    rig.book.add(lane.key(name, "stream_bytes"), max(0, now_bytes - before) / max(1, now_open))
