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
from loadtests.bench.loader import Tally, open_streams
from loadtests.bench.rig import Rig
from loadtests.bench.upstream import Pace

NAME: Final = "held"
WARMING: Final = 50
END_S: Final = 60.0


async def run(rig: Rig) -> None:
    """Hold streams open in every lane, once each: memory hardly varies between runs."""
    for lane in rig.lanes:
        with rig.another(lane) as fresh:
            await warm(rig, fresh)
            await hold(rig, fresh)


async def warm(rig: Rig, lane: Lane) -> None:
    """Let a few streams come and go, so that what grows once has grown."""
    rig.upstream.answer(Pace(2))
    tally = Tally(deltas=2)
    await open_streams(lane, tally, count=WARMING, over_s=0.5)
    await tally.all_ended(END_S)


async def hold(rig: Rig, lane: Lane) -> None:
    """Hold the plan's number of streams open and book what they take."""
    plan, process = rig.plan, lane.process
    if process is None:
        return
    deltas = math.ceil(plan.held_pace * (plan.held_open_s + plan.held_s)) + 2
    rig.upstream.answer(Pace(deltas, plan.held_pace))
    before = process.rss_bytes()
    tally = Tally(deltas=deltas)
    await open_streams(lane, tally, count=plan.held, over_s=plan.held_open_s)
    await asyncio.sleep(plan.held_s)
    now_open, now_bytes = tally.open, process.rss_bytes()
    await tally.all_ended(END_S)
    if now_open < plan.held:
        where = rig.where(lane, NAME)
        rig.book.fault(f"{where}: only {now_open} of {plan.held} streams were open at once")
    rig.blame(lane, NAME, tally)
    rig.book.add(lane.key(NAME, "streams"), now_open)
    rig.book.add(lane.key(NAME, "whole_at_end"), tally.complete)
    rig.book.add(lane.key(NAME, "rss_before_bytes"), before)
    rig.book.add(lane.key(NAME, "rss_with_bytes"), now_bytes)
    rig.book.add(lane.key(NAME, "stream_bytes"), max(0, now_bytes - before) / max(1, now_open))
