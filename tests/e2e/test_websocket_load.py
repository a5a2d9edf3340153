"""Thousands of WebSockets at a time, each with a turn that lasts: nothing is lost or reordered.

`make bench` measures what they cost; this only counts. With `make sockets` one worker on SQLite has
2,000 at a time, two workers on Postgres and Redis have 4,000. The suite has a small form of it,
which does not ask whether all are open at once: that is the machine's to say.
"""

import asyncio
import os
from collections.abc import Iterator
from typing import Any

import pytest

from loadtests.bench.framing import text_frame
from loadtests.bench.lanes import Lane
from loadtests.bench.loader import SocketCaller, Tally, open_streams
from loadtests.bench.processes import allow_many_files
from tests.e2e.programs import API_KEY, Gateway, Pair, Simulator, until
from tests.e2e.several import Several, running
from tests.e2e.talking import PUBLIC, create

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
FULL = bool(os.environ.get("SOCKETS_FULL"))
ONE_WORKER, TWO_WORKERS = (2_000, 4_000) if FULL else (100, 200)
ACCOUNTS = 160 if FULL else 16
"""At 32 calls at a time for each, more than enough."""
DELTAS = 16
PACE = 0.4 if FULL else 8.0
"""Deltas a second: in full a turn lasts 40 s, longer than it takes to open all of them."""
OPEN_S = 20.0 if FULL else 1.0
END_S = 120.0 if FULL else 90.0
BUSY = 'codex2api_websockets{state="busy"}'
STREAMS = 'codex2api_streams_in_flight{transport="websocket"}'


def lane(gateway: Gateway) -> Lane:
    """Return the way of the load: one turn a connection."""
    lines = (
        f"GET {PUBLIC} HTTP/1.1", "host: load", "connection: Upgrade", "upgrade: websocket",
        "sec-websocket-version: 13", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
        f"authorization: Bearer {API_KEY}", "", "",
    )  # fmt: skip
    request = "\r\n".join(lines).encode() + text_frame(create().encode())
    return Lane("gateway", "websocket", "plain", gateway.port, (request,), ())


def hold(gateway: Gateway, simulator: Simulator, count: int) -> dict[str, Any]:
    """Hold so many at a time; return what became of them."""
    pace = {"deltas": DELTAS, "events_per_s": PACE, "timestamps": True, "private_events": False}
    simulator.control(base={**pace, "headers_delay_ms": 0, "ttft_ms": 0, "tokens_per_s": 0})

    async def run() -> dict[str, Any]:
        tally = Tally(deltas=DELTAS)
        await open_streams(lane(gateway), tally, count=count, over_s=OPEN_S, kind=SocketCaller)
        open_at_once = 0
        async with asyncio.timeout(END_S):
            while open_at_once < count and not tally.complete:
                open_at_once = int((await asyncio.to_thread(gateway.metrics))[STREAMS])
                await asyncio.sleep(0.2)
        await tally.all_ended(END_S)
        return {"at once": open_at_once, "whole": tally.complete, "faults": dict(tally.faults)}

    return asyncio.run(run())


def check(found: dict[str, Any], count: int) -> None:
    """All at once, where that was asked, and all of them whole."""
    print(found)  # noqa: T201 - what is shown is the point
    at_once = count if FULL else found["at once"]
    assert found == {"at once": at_once, "whole": count, "faults": {}}


def test_thousands_on_one_worker(start) -> None:
    """Nothing is lost, and nothing of them stays."""
    allow_many_files()
    pair: Pair = start(accounts=ACCOUNTS)
    check(hold(pair.gateway, pair.simulator, ONE_WORKER), ONE_WORKER)
    until(lambda: pair.gateway.metrics()[BUSY] == 0, "no connection is left", within_s=30)
    pair.gateway.settled()


@pytest.fixture
def two_workers(tmp_path, postgres, redis_server) -> Iterator[Several]:
    """A gateway with two workers, and its simulator."""
    yield from running(tmp_path, postgres, redis_server, accounts=ACCOUNTS)


def test_twice_as_many_on_two_workers(two_workers) -> None:
    """They are one gateway: both have some, and nothing is lost."""
    allow_many_files()
    check(hold(two_workers, two_workers.simulator, TWO_WORKERS), TWO_WORKERS)
    until(lambda: two_workers.metrics()[BUSY] == 0, "no connection is left", within_s=30)
