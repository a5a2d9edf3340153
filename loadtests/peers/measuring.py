"""The four works that each peer gets, at a load that it bears.

Each is sent what brings its own core to some 60 %, found by trying: the same rate for all would be
idleness for one and collapse for another, and what is compared is CPU for one request or event.
"""

from typing import Final

from loadtests.bench import events, held, requests
from loadtests.bench.figures import Book
from loadtests.bench.lanes import Lane
from loadtests.bench.rig import Plan, Rig, Sample
from loadtests.bench.upstream import Pace

WHOLE: Final = "peers-whole"
BURST: Final = "peers-burst"
PACED: Final = "peers-paced"
HELD: Final = "peers-held"
START: Final = "peers-start"

BURST_DELTAS: Final = 100
FIRST_PER_S: Final = 2.0
PER_S_MIN: Final = 1.0
FIRST_STREAMS: Final = 4
STREAMS_MAX: Final = 200
PROBES: Final = 3
GROWTH_MAX: Final = 8.0
PROBE: Final = Plan(seconds=2.5, warm_s=1.0)
PEERS_PLAN: Final = Plan(repeat=3, seconds=4.0, warm_s=1.0, held=500, held_open_s=10, held_s=8)


async def whole(rig: Rig, lane: Lane) -> None:
    """Requests whose reply is wanted at once."""
    rig.upstream.answer(Pace(requests.DELTAS, burst=True, timestamps=False))
    sample = await _at_its_pace(rig, lane, streamed=False)
    _book(rig, lane, WHOLE, sample, each=1)


async def burst(rig: Rig, lane: Lane) -> None:
    """Streams that the upstream sends in one write: what an event costs that need not wait."""
    rig.upstream.answer(Pace(BURST_DELTAS, burst=True, timestamps=False))
    sample = await _at_its_pace(rig, lane, streamed=True)
    _book(rig, lane, BURST, sample, each=BURST_DELTAS)


async def paced(rig: Rig, lane: Lane) -> None:
    """Streams whose events come one by one, fifty a second."""
    probing = Rig(rig.upstream, rig.cores, PROBE, Book())
    streams = FIRST_STREAMS
    for _ in range(PROBES):
        sample, _ = await events.stream(probing, lane, streams=streams)
        streams = _grown(rig, sample, streams)
    sample, tally = await events.stream(rig, lane, streams=streams)
    rig.blame(lane, PACED, tally)
    _book(rig, lane, PACED, sample, each=1)
    rig.book.add(lane.key(PACED, "events_per_read"), sample.events / max(1, sample.reads))


async def hold(rig: Rig, lane: Lane) -> None:
    """Some hundred slow streams at once: what one takes in memory."""
    await held.warm(lane, rig.upstream)
    await held.hold(rig, lane, rig.upstream, name=HELD, count=rig.plan.held)


async def _at_its_pace(rig: Rig, lane: Lane, *, streamed: bool) -> Sample:
    per_s = FIRST_PER_S
    for _ in range(PROBES):
        sample = await requests.asked(rig, lane, per_s, PROBE.seconds, [], streamed=streamed)
        per_s = max(PER_S_MIN, per_s * min(GROWTH_MAX, rig.room(sample)))
    return await requests.asked(rig, lane, per_s, rig.plan.seconds, [], streamed=streamed)


def _grown(rig: Rig, sample: Sample, streams: int) -> int:
    factor = min(GROWTH_MAX, rig.room(sample))
    return max(1, min(STREAMS_MAX, int(streams * factor)))


def _book(rig: Rig, lane: Lane, scenario: str, sample: Sample, *, each: int) -> None:
    rig.judge(lane, scenario, sample)
    if not sample.events:
        rig.book.fault(f"{rig.where(lane, scenario)}: nothing was answered")
        return
    done = sample.events * each
    rig.book.add(lane.key(scenario, "cpu_us"), 1e6 * sample.cpu_s / done)
    rig.book.add(lane.key(scenario, "per_s"), done / sample.wall_s)
