"""Two worker processes behind one port, on a real Postgres and a real Redis.

They answer as one: whoever is scraped speaks for both, a drain reaches both, and when one is killed
its callers notice and nobody else.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.asking import CONTENT, prompt, question
from tests.e2e.programs import API_KEY, Gateway, Simulator, until
from tests.e2e.several import WORKERS, Several, running

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="workers are looked up in /proc"),
]

STREAMS = 200
STEADY = {"deltas": 30, "events_per_s": 5, "private_events": False}
"""A stream of six seconds."""


class Ear:
    """A caller that hears one stream to its end, however that comes."""

    def __init__(self) -> None:
        self.raw = b""
        self.broken: httpx.HTTPError | None = None
        self.begun = asyncio.Event()

    @property
    def whole(self) -> bool:
        """Tell whether the terminal event came."""
        return b"event: response.completed" in self.raw

    async def listen(self, client: httpx.AsyncClient, body: Any) -> None:
        """Ask, and hear."""
        try:
            async with client.stream("POST", "/v1/responses", json=body) as answer:
                async for piece in answer.aiter_raw():
                    self.raw += piece
                    if CONTENT[0].encode() in self.raw:
                        self.begun.set()
        except httpx.HTTPError as error:
            self.broken = error
        self.begun.set()


def hear(gateway: Gateway, number: int, *, then: Callable[[], object] = str, **knobs) -> list[Ear]:
    """Hear so many streams at the same time; when all of them have begun, something is done."""

    async def run() -> list[Ear]:
        ears = [Ear() for _ in range(number)]
        headers = {"authorization": f"Bearer {API_KEY}"}
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        async with (
            httpx.AsyncClient(
                base_url=gateway.url, headers=headers, limits=limits, timeout=60
            ) as client,
            asyncio.TaskGroup() as group,
        ):
            for ear in ears:
                group.create_task(ear.listen(client, question(prompt(**knobs))))
            for ear in ears:
                await ear.begun.wait()
            await asyncio.to_thread(then)
        return ears

    return asyncio.run(run())


@pytest.fixture
def several(tmp_path, postgres, redis_server) -> Iterator[Several]:
    """A gateway with two workers and its simulator; 32 accounts are in its database."""
    yield from running(tmp_path, postgres, redis_server, accounts=32)


def spent(simulator: Simulator) -> dict[str, float]:
    """Return what the simulator wrote down, in the words of the metrics."""
    done = [record for record in simulator.records if record["terminal"] == "completed"]
    whole = [record for record in done if not record["client_disconnected"]]
    used = [record["tokens"] for record in whole]
    model = whole[0]["model"]
    return {
        'codex2api_attempts_total{outcome="succeeded"}': len(whole),
        f'codex2api_tokens_total{{kind="input",model="{model}"}}': sum(
            each["input_tokens"] for each in used
        ),
        f'codex2api_tokens_total{{kind="output",model="{model}"}}': sum(
            each["output_tokens"] for each in used
        ),
    }


def agree(gateway: Several) -> bool:
    """Tell whether the metrics say what the simulator has written down."""
    return spent(gateway.simulator).items() <= gateway.metrics().items()


def test_both_workers_serve_and_either_speaks_for_both(several) -> None:
    """200 streams at a time; the totals are the simulator's, and a new start begins at zero."""
    in_flight = 'codex2api_streams_in_flight{transport="sse"}'

    def look() -> None:
        # Neither of the two has as many alone.
        until(lambda: several.metrics()[in_flight] > STREAMS * 0.75, "both have streams")

    ears = hear(several, STREAMS, then=look, **STEADY)
    assert [ear.broken for ear in ears if not ear.whole] == []
    until(lambda: agree(several), "the totals are the simulator's")
    several.settled()
    for _ in range(20):
        assert agree(several)
    # Each key of the environment was stored once, although both workers wanted to.
    assert len(several.command("keys", "list")) == 2
    several.signal(signal.SIGINT)
    assert several.wait() == 0
    before = several.places
    several.begin()
    assert not before & several.places
    assert all(not name.startswith("codex2api_requests_total") for name in several.totals())


def test_a_killed_worker_costs_its_own_streams_and_no_total(several) -> None:
    """The other one goes on, a new one takes the place, and what was counted stays counted."""
    hear(several, 40)
    until(lambda: agree(several), "the totals are the simulator's")
    first = several.pids
    assert len(first) == WORKERS
    counted = several.totals()

    def kill() -> None:
        os.kill(min(first), signal.SIGKILL)

    ears = hear(several, STREAMS, then=kill, **STEADY)
    whole = [ear for ear in ears if ear.whole]
    cut = [ear for ear in ears if not ear.whole]
    assert whole
    assert cut
    assert all(ear.broken is None for ear in whole)
    # The body has no proper end: nobody can take such a stream for a complete one.
    assert all(isinstance(ear.broken, httpx.RemoteProtocolError) for ear in cut)
    until(lambda: len(several.pids) == WORKERS, "a new worker has come")
    assert first - several.pids == {min(first)}
    until(lambda: len(several.places) == WORKERS, "the new worker takes part")
    for _ in range(40):
        now = several.totals()
        fallen = {name for name, value in counted.items() if now.get(name, 0) < value}
        assert not fallen
        counted = now
    until(lambda: agree(several), "the totals are the simulator's")
    assert several.statuses() == {200}
    assert all(ear.whole for ear in hear(several, 40))
    until(lambda: agree(several), "the totals are the simulator's")
    several.settled()


def test_a_drain_reaches_every_worker_and_cuts_nothing(several) -> None:
    """No worker is ready any more, all streams end whole, and the server ends well."""

    def drain() -> None:
        several.signal(signal.SIGTERM)
        until(lambda: several.statuses() == {503}, "no worker is ready")

    ears = hear(several, STREAMS, then=drain, **STEADY)
    assert [ear.broken for ear in ears if not ear.whole] == []
    assert several.wait(within_s=30) == 0
    assert "Unexpected exit" not in several.printed()


def test_a_worker_that_dies_twice_at_once_ends_the_server(several) -> None:
    """Something is wrong that a third one would not mend: whoever supervises it must look."""
    before = several.pids
    os.kill(min(before), signal.SIGKILL)
    [new] = until(lambda: several.pids - before, "a new worker has come")
    os.kill(new, signal.SIGKILL)
    assert several.wait() == 1
    assert "crash loop" in several.printed()


def test_workers_whose_supervisor_is_killed_end_by_themselves(several) -> None:
    """They would serve on beside the gateway that is started in its place."""
    workers = several.pids
    assert len(workers) == WORKERS
    several.process.kill()
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), "all have ended")
