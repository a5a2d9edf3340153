"""CPU of one message on a WebSocket, beside an event of a stream, and memory of an open socket.

As `events` and `held` do it for streams: one turn a connection, each event its own message, first
through nginx, which passes frames on, then through the gateway, which speaks the protocol on both
sides. The gateway's streams over HTTP are measured in the same turns.
"""

import asyncio
import math
from typing import Final

from loadtests.bench.events import END_S
from loadtests.bench.lanes import Lane, sockets_forwarded, sockets_through_gateway
from loadtests.bench.loader import SocketCaller, StreamCaller, Tally, open_streams
from loadtests.bench.rig import Rig, Sample
from loadtests.bench.upstream import Pace

NAME: Final = "websocket"
WARMING: Final = 50


async def run(rig: Rig) -> None:
    """Measure every lane, taking turns; then hold sockets open, in fresh programs."""
    lanes = _lanes(rig)
    for _ in range(rig.plan.repeat):
        for lane in lanes:
            sample, tally = await _turns(rig, lane, streams=rig.plan.streams)
            rig.judge(lane, NAME, sample)
            rig.blame(lane, NAME, tally)
            if sample.events:
                rig.book.add(lane.key(NAME, "cpu_us"), 1e6 * sample.cpu_s / sample.events)
                rig.book.add(lane.key(NAME, "events_per_s"), sample.events / sample.wall_s)
            else:
                rig.book.fault(f"{rig.where(lane, NAME)}: nothing arrived")
    for lane in lanes:
        with rig.another(lane) as fresh:
            await _hold(rig, fresh)


def _lanes(rig: Rig) -> list[Lane]:
    lanes = []
    for lane in rig.lanes:
        if lane.program == "nginx":
            lanes.append(sockets_forwarded(lane.port, rig.upstream, lane.process))
        elif lane.work == "responses" and rig.gateway is not None:
            lanes += [sockets_through_gateway(rig.gateway, rig.kind), lane]
    return lanes


def _kind(lane: Lane) -> type[StreamCaller]:
    return StreamCaller if lane.work == "responses" else SocketCaller


async def _turns(rig: Rig, lane: Lane, *, streams: int) -> tuple[Sample, Tally]:
    """Open that many, measure while all run, and wait for their proper ends."""
    plan = rig.plan
    open_s = streams / 400
    deltas = math.ceil(plan.pace * (open_s + plan.warm_s + plan.seconds + 0.5))
    rig.upstream.answer(Pace(deltas, plan.pace))
    tally = Tally(deltas=deltas)
    await open_streams(lane, tally, count=streams, over_s=open_s, kind=_kind(lane))
    await rig.measured(lane.process, tally, plan.warm_s)
    sample = await rig.measured(lane.process, tally, plan.seconds)
    await tally.all_ended(END_S)
    return sample, tally


async def _hold(rig: Rig, lane: Lane) -> None:
    plan, process = rig.plan, lane.process
    if process is None:
        return
    rig.upstream.answer(Pace(2))
    warming = Tally(deltas=2)
    await open_streams(lane, warming, count=WARMING, over_s=0.5, kind=_kind(lane))
    await warming.all_ended(END_S)
    deltas = math.ceil(plan.held_pace * (plan.held_open_s + plan.held_s)) + 2
    rig.upstream.answer(Pace(deltas, plan.held_pace))
    before = process.rss_bytes()
    tally = Tally(deltas=deltas)
    await open_streams(lane, tally, count=plan.held, over_s=plan.held_open_s, kind=_kind(lane))
    await asyncio.sleep(plan.held_s)
    now_open, now_bytes = tally.open, process.rss_bytes()
    await tally.all_ended(END_S)
    if now_open < plan.held:
        where = rig.where(lane, NAME)
        rig.book.fault(f"{where}: only {now_open} of {plan.held} were open at once")
    rig.blame(lane, NAME, tally)
    rig.book.add(lane.key(NAME, "streams"), now_open)
    rig.book.add(lane.key(NAME, "whole_at_end"), tally.complete)
    rig.book.add(lane.key(NAME, "stream_bytes"), max(0, now_bytes - before) / max(1, now_open))
