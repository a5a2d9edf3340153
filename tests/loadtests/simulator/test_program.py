"""The programs: the command line with uvloop, and the speed measurement."""

import signal
import subprocess
import sys

import orjson
import pytest

from loadtests.simulator import speed
from loadtests.simulator.__main__ import _config
from tests.loadtests.simulator.peer import Peer, sim


@pytest.fixture
def program():
    """A simulator in a process of its own."""
    command = [sys.executable, "-m", "loadtests.simulator", "--profile", "fast", "--control"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        yield process, orjson.loads(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


async def test_the_program_serves_and_cuts_under_uvloop(program):
    """Happy path, FIN and RST at the right event, then a clean end at SIGTERM."""
    _, addresses = program
    account = speed._get(f"{addresses['control_url']}/accounts")[0]
    peer = Peer.of(addresses["port"], account)
    assert (await peer.ask("echo: hi")).text == "hi"
    for mode in ("fin", "rst"):
        answer = await peer.ask(sim(cut_after_events=5, cut_mode=mode))
        assert len(answer.events) == 5
        assert not answer.complete


async def test_speed_measures_a_small_case():
    """The measurement itself works; its figures are no test's business."""
    cases = [
        speed.Case("paced", 3, 20, {"events_per_s": 500}),
        speed.Case("burst", 2, 50, {"burst": True}),
    ]
    figures = await speed._measure_all(cases)
    assert [one.case for one in figures] == ["paced", "burst"]
    assert all(one.events > one.streams * 20 for one in figures)


def test_the_command_line_makes_a_configuration():
    """Profiles, knobs and keys."""
    config = _config(["--profile", "fast", "--knobs", '{"burst":true}', "--api-key", "k"])
    assert config.knobs["burst"] is True
    assert config.knobs["ttft_ms"] == 0
    assert config.api_keys == ["k"]
    assert len(_config(["--profile", "demo"]).specs()) == 3
    assert len(_config(["--accounts", "5"]).specs()) == 5
