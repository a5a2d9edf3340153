"""The locust smoke runs, and fails where a stream is not whole."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from loadtests.simulator.config import fast
from loadtests.simulator.server import Simulator

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


@pytest.mark.skipif(sys.platform != "linux", reason="the gateway is pinned to a core")
def test_a_steady_load_passes():
    """Callers of both dialects get whole streams from a gateway that was started for them."""
    command = [sys.executable, "-m", "loadtests.run", "steady", "--callers", "4", "--seconds", "4"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, said
    assert "/v1/chat/completions TTFT" in said
    assert "/v1/responses total" in said


async def test_a_stream_that_is_cut_fails_the_load():
    """The simulator itself is asked; it cuts every stream after a few events."""
    async with Simulator(fast(knobs={"cut_after_events": 6, "cut_mode": "fin"})) as simulator:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "locust", "-f", "loadtests/locustfile.py", "--headless",
            "--host", simulator.url, "-u", "2", "-r", "2", "-t", "3", "ResponsesCaller",
            cwd=ROOT, env={"LOAD_KEY": "sk-sim-1", "PATH": "/usr/bin:/bin"},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await process.communicate()
    assert process.returncode == 1, said.decode()
    assert "MISSED" in said.decode()
