"""`python -m loadtests.peers`: other gateways and this one, the same work, in turn, on one core.

The peers are installed below build/peers the first time, which takes some minutes; one that can't
be had is listed with its reason. Everything is measured three times, each time on a fresh start,
the programs taking turns. Takes about twenty minutes, and wants a machine that does nothing else.
"""

import argparse
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import uvloop

from loadtests.bench import machine, upstream
from loadtests.bench.figures import Book, ProgramName, Run
from loadtests.bench.processes import (
    Cores,
    ProgramFailed,
    allow_many_files,
    cores,
    end_in_order,
)
from loadtests.bench.rig import Plan, Rig
from loadtests.peers import installing, measuring
from loadtests.peers.installing import Installed, Missing
from loadtests.peers.launching import BEFORE, Gateways, Launcher, Started
from loadtests.peers.table import PeersRun, tables

WORKS: Final = {
    measuring.WHOLE: measuring.whole,
    measuring.BURST: measuring.burst,
    measuring.PACED: measuring.paced,
}


def main(arguments: list[str] | None = None) -> int:
    """Measure the peers that the arguments name; return the exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    given = _parsed(words)
    began = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    where = cores()
    allow_many_files()
    end_in_order()
    peers: dict[ProgramName, Installed] = {}
    missing: dict[ProgramName, str] = {}
    for name in given.names:
        print(f"{name}: installing ...", flush=True)
        match installing.install(name):
            case Installed() as installed:
                peers[name] = installed
            case Missing(reason):
                print(f"{name}: not measured, {reason}")
                missing[name] = reason
    os.sched_setaffinity(0, {where.load})
    book = Book()
    command = shlex.join(["python", "-m", "loadtests.peers", *words])
    about = machine.description(where)
    versions = {name: one.version for name, one in peers.items()}
    sizes = {name: installing.size_bytes(one) for name, one in peers.items()}
    known = {name: size for name, size in sizes.items() if size is not None}

    def found() -> PeersRun:
        run = Run(began, command, about, book.figures(), book.faults)
        so_far = PeersRun(run, versions, missing, known)
        if given.json is not None:
            given.json.parent.mkdir(parents=True, exist_ok=True)
            given.json.write_bytes(msgspec.json.format(msgspec.json.encode(so_far)) + b"\n")
        return so_far

    with tempfile.TemporaryDirectory(prefix="codex2api-peers-") as folder:
        for _ in _measured(peers, (where, given.plan, book), Path(folder)):
            # What was measured in half an hour is not lost with what comes last.
            found()
    for text in tables(found()).values():
        print(f"\n{text}")
    return 0


class _Given(msgspec.Struct):
    names: list[ProgramName]
    plan: Plan
    json: Path | None


def _parsed(arguments: list[str]) -> _Given:
    parser = argparse.ArgumentParser(prog="python -m loadtests.peers", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="PEER", help=", ".join(installing.NAMES))
    parser.add_argument("--repeat", type=int, default=measuring.PEERS_PLAN.repeat)
    parser.add_argument("--seconds", type=float, default=measuring.PEERS_PLAN.seconds)
    parser.add_argument("--held", type=int, default=measuring.PEERS_PLAN.held)
    parser.add_argument("--json", type=Path, help="save the run here")
    given = parser.parse_args(arguments)
    unknown = set(given.names).difference(installing.NAMES)
    if unknown:
        parser.error(f"no such peer: {', '.join(sorted(unknown))}")
    wanted = set(given.names) or set(installing.NAMES)
    plan = msgspec.structs.replace(
        measuring.PEERS_PLAN, repeat=given.repeat, seconds=given.seconds, held=given.held
    )
    return _Given([name for name in installing.NAMES if name in wanted], plan, given.json)


def _measured(
    peers: dict[ProgramName, Installed], rig_of: tuple[Cores, Plan, Book], folder: Path
) -> Iterator[ProgramName]:
    """Measure all programs in turns; yield after each."""
    where, plan, book = rig_of
    with upstream.running("plain", folder, core=where.load) as simulator:
        rig = Rig(simulator, where, plan, book)
        launchers: dict[ProgramName, Launcher] = dict(BEFORE)
        if "gateway" in peers:
            launchers["gateway"] = Gateways(simulator, folder)
        for repeat in range(plan.repeat):
            for name, installed in peers.items():
                home = folder / f"{name}-{repeat}"
                home.mkdir()
                print(f"{name}: round {repeat + 1} of {plan.repeat} ...", flush=True)
                _one(rig, launchers[name], installed, home)
                yield name


def _one(rig: Rig, launcher: Launcher, installed: Installed, home: Path) -> None:
    """Start a peer twice, once to work and once to hold; one that fails is a fault of the run."""
    for does in (_work, _hold):
        folder = home / does.__name__
        folder.mkdir()
        try:
            with launcher(installed, rig.upstream, folder, rig.cores.program) as peer:
                uvloop.run(does(rig, peer))
        except ProgramFailed as failed:
            rig.book.fault(str(failed))


async def _work(rig: Rig, peer: Started) -> None:
    for lane in peer.lanes:
        rig.book.add(lane.key(measuring.START, "ready_s"), peer.ready_s)
        for work in WORKS.values():
            await work(rig, lane)


async def _hold(rig: Rig, peer: Started) -> None:
    await measuring.hold(rig, peer.lanes[0])


if __name__ == "__main__":
    sys.exit(main())
