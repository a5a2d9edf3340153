"""A small form of `make rolling` and `make kills`: a few callers, two restarts, two kills."""

import pytest

from loadtests.rolling import proxies
from loadtests.rolling.__main__ import Plan, lines, run
from loadtests.rolling.load import Shape

SMALL = Shape(deltas=(4, 8), events_per_s=2, over_s=1.0)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(proxies.program("nginx") is None, reason="no nginx on this machine"),
]


@pytest.mark.parametrize("what", ["restarts", "kills"])
def test_replicas_come_and_go_and_nothing_is_lost(tmp_path, what):
    """How soon a replica is back is measured by the command, on a machine that is quiet."""
    tmp_path.chmod(0o755)
    plan = Plan(what=what, times=2, streams=50, sockets=10, shape=SMALL)
    found = run(tmp_path, plan)
    faults = [fault for fault in found.faults if "back after" not in fault]
    assert faults == []
    assert len(found.restarts) + len(found.kills) == 2
    assert len(found.noted) > 60
    assert "2 " + what in lines(plan, found)[0]
