"""Everything that is measured against one kind of upstream, started together and stopped together.

A rig also reads the clocks: `measured` runs for a while and says what the program spent, what went
through, and how busy the loader's core was, because a figure from a saturated loader is none.
"""

import asyncio
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import msgspec

from loadtests.bench import gateway, nginx, upstream
from loadtests.bench.figures import Book, ProgramName, UpstreamKind
from loadtests.bench.gateway import Gateway
from loadtests.bench.lanes import Lane, by_chat, forwarded, through_gateway
from loadtests.bench.loader import Tally
from loadtests.bench.processes import Cores, Program
from loadtests.bench.upstream import Upstream

LOAD_SHARE_MAX: Final = 0.9
"""Over this share of its core the loader or the simulator may be what is slow."""
LOAD_SHARE_AIM: Final = 0.7
"""Where a load that is to be found stops growing: above it, waiting for the loader counts too."""


SHARE_MIN: Final = 0.01


class Plan(msgspec.Struct, frozen=True):
    """How much is measured; the defaults are a full run."""

    repeat: int = 5
    seconds: float = 5.0
    """Of one measurement."""
    warm_s: float = 1.0
    streams: int = 200
    pace: float = 50.0
    """Events a second of each stream."""
    share: float = 0.6
    """Load of the program's core at which latency is measured."""
    probes: int = 4
    """Tries to find that load."""
    probe_s: float = 1.5
    stream_s: float = 2.0
    """Life of a stream while latency is measured."""
    held: int = 2000
    crowd: int = 5000
    """Streams that two workers hold."""
    held_open_s: float = 10.0
    held_s: float = 10.0
    held_pace: float = 0.5
    """Events a second of a held stream."""
    many_accounts: int = 10_000
    """Of the gateway that is started with many."""
    aborts: int = 10_000
    aborts_per_s: float = 400.0


QUICK: Final = Plan(
    repeat=1,
    seconds=0.6,
    warm_s=0.2,
    streams=50,
    probes=0,
    probe_s=0.3,
    stream_s=0.4,
    held=100,
    crowd=200,
    held_open_s=0.4,
    held_s=0.4,
    held_pace=5.0,
    many_accounts=200,
    aborts=500,
)
"""A smoke run of the bench itself; its figures mean little."""


class Sample(msgspec.Struct, frozen=True):
    """What happened in a stretch of time."""

    wall_s: float
    cpu_s: float
    """Of the program, whole tree; 0 for the direct lane."""
    load_cpu_s: float
    """Of loader and simulator together."""
    events: int
    reads: int

    @property
    def share(self) -> float:
        """The program's part of its core."""
        return self.cpu_s / self.wall_s

    @property
    def load_share(self) -> float:
        """Loader's and simulator's part of theirs."""
        return self.load_cpu_s / self.wall_s


class Rig:
    """One upstream and the lanes to it."""

    def __init__(self, upstream: Upstream, cores: Cores, plan: Plan, book: Book) -> None:
        self.upstream = upstream
        self.cores = cores
        self.plan = plan
        self.book = book
        self.lanes: list[Lane] = []
        self.translated: list[Lane] = []
        """Further lanes, of which only the CPU of events is measured."""
        self.direct = forwarded("direct", upstream.port, upstream, None)
        self.gateway: Gateway | None = None
        self.environment: dict[str, str] = {}
        """The gateway's, to start another one on the same data."""
        self.folder = Path()

    @property
    def kind(self) -> UpstreamKind:
        """How the upstream is reached."""
        return self.upstream.kind

    async def measured(self, process: Program | None, tally: Tally, seconds: float) -> Sample:
        """Let the load run for that long; what it cost the program meanwhile."""
        before = self._read(process, tally)
        await asyncio.sleep(seconds)
        if process is not None:
            process.check()
        after = self._read(process, tally)
        wall_s, cpu_s, load_cpu_s, events, reads = (
            b - a for a, b in zip(before, after, strict=True)
        )
        return Sample(wall_s, cpu_s, load_cpu_s, int(events), int(reads))

    @contextmanager
    def another(self, lane: Lane) -> Iterator[Lane]:
        """The same lane through a program that has just been started; it ends with the block."""
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            folder, core = Path(name), self.cores.program
            if lane.program == "gateway":
                with gateway.running(self.environment, folder, core=core) as ready:
                    process, port = ready.program, ready.port
                    yield msgspec.structs.replace(lane, process=process, port=port)
            else:
                with nginx.running(self.upstream, folder, core=core) as (process, port):
                    yield msgspec.structs.replace(lane, process=process, port=port)

    def room(self, sample: Sample) -> float:
        """By how much the load may grow until one of the two cores is as busy as is wanted."""
        return min(
            self.plan.share / max(sample.share, SHARE_MIN),
            LOAD_SHARE_AIM / max(sample.load_share, SHARE_MIN),
        )

    def where(self, lane: Lane, scenario: str) -> str:
        """What a fault begins with."""
        return f"{scenario}, {lane.upstream}, {lane.name}"

    def judge(self, lane: Lane, scenario: str, sample: Sample) -> None:
        """Book how busy both cores were, which may make the sample invalid."""
        self.book.add(lane.key(scenario, "load_share"), sample.load_share)
        self.book.add(lane.key(scenario, "share"), sample.share)
        if sample.load_share > LOAD_SHARE_MAX and not self.cores.shared:
            busy = f"the loader's core was over {LOAD_SHARE_MAX:.0%} busy"
            self.book.fault(f"{self.where(lane, scenario)}: {busy}")

    def blame(self, lane: Lane, scenario: str, tally: Tally) -> None:
        """Book what went wrong with streams or requests."""
        for fault, count in tally.faults.items():
            self.book.fault(f"{self.where(lane, scenario)}: {count} of {tally.begun}: {fault}")

    def _read(self, process: Program | None, tally: Tally) -> tuple[float, ...]:
        return (
            time.monotonic(),
            process.cpu_s() if process else 0.0,
            time.process_time() + self.upstream.program.cpu_s(),
            tally.events,
            tally.reads,
        )


@contextmanager
def rigged(
    kind: UpstreamKind, programs: set[ProgramName], rig_of: tuple[Cores, Plan, Book], folder: Path
) -> Iterator[Rig]:
    """Start simulator, nginx and gateway, as far as they are wanted; all end with the block."""
    cores, plan, book = rig_of
    folder.mkdir()
    with ExitStack() as stack:
        simulator = stack.enter_context(upstream.running(kind, folder, core=cores.load))
        rig = Rig(simulator, cores, plan, book)
        rig.folder = folder
        if "nginx" in programs:
            started = nginx.running(simulator, folder, core=cores.program)
            program, port = stack.enter_context(started)
            rig.lanes.append(forwarded("nginx", port, simulator, program))
        if "gateway" in programs:
            rig.environment = gateway.prepare(simulator, folder)
            ready = gateway.running(rig.environment, folder, core=cores.program)
            rig.gateway = stack.enter_context(ready)
            rig.lanes += through_gateway(rig.gateway, kind)
            rig.translated += by_chat(rig.gateway, kind)
        yield rig
