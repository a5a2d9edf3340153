"""Time from the start of the process to the first yes of `/ready`, and memory at rest.

The data directory has been used before, as at every start but the first.
"""

from typing import Final

from loadtests.bench import gateway
from loadtests.bench.rig import Rig

NAME: Final = "start"


async def run(rig: Rig) -> None:
    """Start and stop another gateway on the same data, as often as the plan wants.

    The gateway of the rig stays idle meanwhile.
    """
    lane = next((lane for lane in rig.lanes if lane.program == "gateway"), None)
    if lane is None:
        return
    folder = rig.folder / "second"
    folder.mkdir(exist_ok=True)
    for _ in range(rig.plan.repeat):
        with gateway.running(rig.environment, folder, core=rig.cores.program) as second:
            rig.book.add(lane.key(NAME, "ready_s"), second.ready_s)
            rig.book.add(lane.key(NAME, "rss_bytes"), second.program.rss_bytes())
