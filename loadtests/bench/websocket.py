"""CPU of one message on a WebSocket, beside an event of a stream, and memory of an open socket.

As `events` and `held` do it for streams: one turn a connection, each event its own message, first
through nginx, which passes frames on, then through the gateway, which speaks the protocol on both
sides. The gateway's streams over HTTP are measured in the same turns.
"""

import math
from typing import Final

from loadtests.bench import held
from loadtests.bench.events import END_S
from loadtests.bench.lanes import Lane, sockets_forwarded, sockets_through_gateway
from loadtests.bench.loader import SocketCaller, StreamCaller, Tally, open_streams
from loadtests.bench.rig import Rig, Sample
from loadtests.bench.upstream import Pace

NAME: Final = "websocket"


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
            kind = _kind(lane)
            await held.warm(fresh, rig.upstream, kind=kind)
            await held.hold(rig, fresh, rig.upstream, name=NAME, count=rig.plan.held, kind=kind)


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
