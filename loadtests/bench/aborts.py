"""A soak of hang-ups: thousands of streams that the caller drops at a random moment.

Moments are before the request is complete, before the first event, between events, and about at
the end. Afterwards nothing of them may be left: no stream in flight here or upstream, no
descriptor, no thread, hardly any memory. Which streams are dropped when is the seed's choice.
"""

import asyncio
import random
import time
from typing import Final

import msgspec

from loadtests.bench.lanes import Lane
from loadtests.bench.loader import StreamCaller, Tally, connect
from loadtests.bench.rig import Rig
from loadtests.bench.upstream import Pace

NAME: Final = "aborts"
SEED: Final = 7
DELTAS: Final = 20
EVENTS_PER_S: Final = 50.0
LIFE_S: Final = DELTAS / EVENTS_PER_S
TORN: Final = 0.1
"""Part of the callers that hang up in the middle of their request."""
WARMING: Final = 500
QUIET_S: Final = 20.0
FILES_SPARE: Final = 16
THREADS_SPARE: Final = 4
STREAM_BYTES_MAX: Final = 1_000
"""Growth for each dropped stream; a leaked stream would be ten times that."""
IDLE_CONNECTIONS_S: Final = 65.0
"""Kept upstream connections live 30 s and are looked at every 30 s; then those are gone too."""


class Traces(msgspec.Struct, frozen=True):
    """What a gateway holds at one moment."""

    rss_bytes: int
    files: int
    threads: int
    gauges: dict[str, float]


async def run(rig: Rig) -> None:
    """Drop streams of both dialects, and compare what the gateway holds before and after."""
    if rig.gateway is None:
        return
    rig.upstream.answer(Pace(DELTAS, EVENTS_PER_S))
    chance = random.Random(SEED)
    lanes = [lane for lane in rig.lanes if lane.program == "gateway"]
    await _drop(rig, lanes, WARMING, chance)
    before = await _rested(rig)
    await _drop(rig, lanes, rig.plan.aborts, chance)
    after = await _rested(rig)
    for name in ("rss_bytes", "files", "threads"):
        rig.book.add(lanes[0].key(NAME, f"{name}_before"), getattr(before, name))
        rig.book.add(lanes[0].key(NAME, f"{name}_after"), getattr(after, name))
    rig.book.add(lanes[0].key(NAME, "streams"), rig.plan.aborts)
    rig.book.add(lanes[0].key(NAME, "upstream_in_flight"), rig.upstream.in_flight())
    for name, value in after.gauges.items():
        rig.book.add(lanes[0].key(NAME, f"gauge {name}"), value)
    for leak in leaks(before, after, rig.plan.aborts):
        rig.book.fault(f"{rig.where(lanes[0], NAME)}: {leak}")


def leaks(before: Traces, after: Traces, streams: int) -> list[str]:
    """What of the dropped streams is still there, one sentence each."""
    found = [f"{name} is {value:g}, not 0" for name, value in after.gauges.items()
             if value and not name.endswith(("_tasks", "_threads"))]  # fmt: skip
    if after.files > before.files + FILES_SPARE:
        found.append(f"{after.files - before.files} more files are open")
    if after.threads > before.threads + THREADS_SPARE:
        found.append(f"there are {after.threads - before.threads} more threads")
    grown = (after.rss_bytes - before.rss_bytes) / streams
    if grown > STREAM_BYTES_MAX:
        found.append(f"memory has grown by {grown:.0f} bytes for each dropped stream")
    return found


async def _drop(rig: Rig, lanes: list[Lane], count: int, chance: random.Random) -> None:
    tally = Tally(deltas=DELTAS)
    loop = asyncio.get_running_loop()
    due = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        for number in range(count):
            due += 1 / rig.plan.aborts_per_s
            if (wait_s := due - time.monotonic()) > 0:
                await asyncio.sleep(wait_s)
            lane = lanes[number % len(lanes)]
            request = next(lane.stream_requests())
            if chance.random() < TORN:
                request = request[: chance.randrange(1, len(request))]
            caller = StreamCaller(request, tally, 0)
            tasks.create_task(connect(lane.port, caller, tally))
            loop.call_later(chance.uniform(0, LIFE_S * 1.1), caller.abort)
    await tally.all_ended(QUIET_S)
    for fault, times in tally.faults.items():
        if fault.startswith(("status", "events", "not connected")):
            rig.book.fault(f"{NAME}, {rig.kind}: {times} streams: {fault}")


async def _rested(rig: Rig) -> Traces:
    """What the gateway holds once everything has had time to end."""
    assert rig.gateway is not None  # noqa: S101  (narrows the type)
    until = time.monotonic() + QUIET_S
    while rig.upstream.in_flight() and time.monotonic() < until:  # noqa: ASYNC110 (asks a server)
        await asyncio.sleep(0.2)  # the simulator tells nobody, so ask
    await asyncio.sleep(IDLE_CONNECTIONS_S)
    program = rig.gateway.program
    gauges = {
        name: value
        for name, value in rig.gateway.metrics().items()
        if name.partition("{")[0].endswith(("_in_flight", "_tasks", "queue_depth", "_threads"))
    }
    return Traces(program.rss_bytes(), program.files(), program.threads(), gauges)
