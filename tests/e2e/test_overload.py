"""A worker that can carry no more says so to new calls, and carries on those that it has."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.asking import prompt, question
from tests.e2e.programs import API_KEY, Gateway, Pair, until

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="workers and descriptors are looked up in /proc"
)

PATH = "/v1/responses"
DESCRIPTORS = 220
"""What is left of them takes some fifty streams."""
STREAMS = 80
LAG_S = 3.0


def shed(answer: httpx.Response) -> bool:
    """Tell whether a call was shed, as it should be."""
    if answer.status_code != 503:
        return False
    assert answer.headers["x-codex2api-reason"] == "overloaded"
    assert int(answer.headers["retry-after"]) > 0
    assert answer.headers["connection"] == "close"
    return True


def ready(gateway: Gateway) -> str:
    """Return what `/ready` says."""
    status: str = gateway.client.get("/ready").json()["status"]
    return status


async def _hold(pair: Pair, number: int) -> list[httpx.Response]:
    """Ask for so many streams that wait for the simulator's steps; return all answers."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    headers = {"authorization": f"Bearer {API_KEY}"}
    url = pair.gateway.url
    async with (
        httpx.AsyncClient(base_url=url, limits=limits, headers=headers, timeout=60) as client,
        asyncio.TaskGroup() as group,
    ):

        def ask(**knobs: Any) -> asyncio.Task[httpx.Response]:
            return group.create_task(client.post(PATH, json=question(prompt(**knobs))))

        asked = [ask(stepwise=True, private_events=False) for _ in range(number)]
        # Whoever is not shed waits.
        await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        assert await asyncio.to_thread(ready, pair.gateway) == "full"
        assert shed(await ask())
        stepping = group.create_task(asyncio.to_thread(_step, pair, asked))
        await asyncio.wait(asked)
        await stepping
    return [each.result() for each in asked]


def _step(pair: Pair, asked: list[asyncio.Task[httpx.Response]]) -> None:
    """Let the streams go on, event by event, until all are over."""
    while not all(each.done() for each in asked):
        pair.simulator.client.post("step").raise_for_status()


def test_without_descriptors_new_calls_are_shed_and_running_ones_end_whole(start) -> None:
    """The few that are left are for those that run; when they have ended, all is as before."""
    limits = {"loop_stall_s": 60.0}
    pair: Pair = start(accounts=8, limits=limits, E2E_DESCRIPTORS=str(DESCRIPTORS))
    gateway = pair.gateway
    found = asyncio.run(_hold(pair, STREAMS))
    lost = [each for each in found if shed(each)]
    whole = [each for each in found if "event: response.completed" in each.text]
    assert lost
    assert whole
    assert len(lost) + len(whole) == STREAMS
    until(lambda: ready(gateway) == "ready", "the descriptors are back")
    assert gateway.client.post(PATH, json=question(prompt())).status_code == 200


def test_calls_that_piled_up_while_the_loop_stood_still_are_shed(start) -> None:
    """Nobody would be answered in time; a moment later everything is as before."""
    pair: Pair = start(limits={"loop_stall_s": 60.0})
    gateway = pair.gateway
    [worker] = workers(gateway)

    async def pile_up() -> list[httpx.Response]:
        headers = {"authorization": f"Bearer {API_KEY}"}
        async with (
            httpx.AsyncClient(base_url=gateway.url, headers=headers, timeout=60) as client,
            asyncio.TaskGroup() as group,
        ):
            os.kill(worker, signal.SIGSTOP)
            asked = [
                group.create_task(client.post(PATH, json=question(prompt()))) for _ in range(20)
            ]
            await asyncio.sleep(LAG_S)
            os.kill(worker, signal.SIGCONT)
        return [task.result() for task in asked]

    found = asyncio.run(pile_up())
    assert any(shed(each) for each in found)
    assert {each.status_code for each in found} <= {200, 503}
    until(lambda: ready(gateway) == "ready", "the loop has caught up")
    assert gateway.client.post(PATH, json=question(prompt())).status_code == 200


def workers(gateway: Gateway) -> list[int]:
    """Return the processes that serve."""
    assert gateway.process is not None
    pid = gateway.process.pid
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
