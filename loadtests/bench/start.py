"""Time from the start of the process to the first yes of `/ready` and to the first answered call.

And memory at rest: after that one call, when nothing is under way. The data directory has been used
before, as at every start but the first. The same is measured with ten thousand accounts: nothing
may be dialled or renewed before the gateway serves, however many there are.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import httpx

from loadtests.bench import gateway, upstream
from loadtests.bench.gateway import KEY, Gateway
from loadtests.bench.lanes import Lane
from loadtests.bench.rig import Rig
from loadtests.bench.upstream import Pace, Upstream
from loadtests.callers import MODEL

NAME: Final = "start"
FEW: Final = ""
MANY: Final = "many_"
"""What the metrics of a gateway with many accounts begin with."""


async def run(rig: Rig) -> None:
    """Start and stop another gateway on the same data, as often as the plan wants.

    The gateway of the rig stays idle meanwhile.
    """
    lane = next((lane for lane in rig.lanes if lane.program == "gateway"), None)
    if lane is None:
        return
    folder = rig.folder / "second"
    folder.mkdir(exist_ok=True)
    _start(rig, lane, (rig.environment, folder), rig.upstream, FEW)
    if rig.kind != "plain":
        return
    many = rig.folder / "many"
    many.mkdir(exist_ok=True)
    accounts = rig.plan.many_accounts
    with upstream.running("plain", many, core=rig.cores.load, accounts=accounts) as other:
        _start(rig, lane, (gateway.prepare(other, many), many), other, MANY)


def _start(
    rig: Rig, lane: Lane, home: tuple[Mapping[str, str], Path], asked: Upstream, name: str
) -> None:
    environment, folder = home
    asked.answer(Pace(2))
    for _ in range(rig.plan.repeat):
        with gateway.running(environment, folder, core=rig.cores.program) as started:
            rig.book.add(lane.key(NAME, f"{name}ready_s"), started.ready_s)
            rig.book.add(lane.key(NAME, f"{name}answered_s"), _answered_s(started))
            rig.book.add(lane.key(NAME, f"{name}rss_bytes"), started.program.rss_bytes())


def _answered_s(started: Gateway) -> float:
    """Ask once; return how long after the start of the process the answer was whole."""
    content = [{"type": "input_text", "text": "Are you there?"}]
    item = {"type": "message", "role": "user", "content": content}
    answer = httpx.post(
        f"http://127.0.0.1:{started.port}/v1/responses",
        json={"model": MODEL, "instructions": "", "input": [item], "stream": True},
        headers={"authorization": f"Bearer {KEY}"},
        trust_env=False,
        timeout=30,
    )
    answer.raise_for_status()
    return time.monotonic() - started.program.began
