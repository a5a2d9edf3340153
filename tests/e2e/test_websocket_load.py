"""Thousands of WebSockets at a time, each with a turn that lasts: nothing is lost or reordered.

`make bench` measures what they cost; this only counts. One worker on SQLite has 2,000, two workers
on Postgres and Redis have 4,000.
"""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from loadtests.bench.framing import text_frame
from loadtests.bench.lanes import Lane
from loadtests.bench.loader import SocketCaller, Tally, open_streams
from loadtests.bench.processes import allow_many_files
from tests.e2e.programs import API_KEY, Gateway, Pair, Simulator, enrol, until
from tests.e2e.talking import PUBLIC, create
from tests.e2e.test_workers import Several

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
ACCOUNTS = 160
"""At 32 calls at a time for each, more than 4,000."""
DELTAS = 16
PACE = 0.4
"""Deltas a second: a turn lasts 40 s, longer than it takes to open all of them."""
OPEN_S = 20.0
END_S = 120.0
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


def test_two_thousand_on_one_worker(start) -> None:
    """All at once, and all of them whole."""
    allow_many_files()
    pair: Pair = start(accounts=ACCOUNTS)
    found = hold(pair.gateway, pair.simulator, 2_000)
    print(found)  # noqa: T201 - what is shown is the point
    assert found == {"at once": 2_000, "whole": 2_000, "faults": {}}
    until(lambda: pair.gateway.metrics()[BUSY] == 0, "no connection is left", within_s=30)
    pair.gateway.settled()


@pytest.fixture
def two_workers(tmp_path, postgres_url, redis_server) -> Iterator[Several]:
    """A gateway with two workers, and its simulator."""
    simulator = Simulator(tmp_path, accounts=ACCOUNTS)
    gateway = Several(
        tmp_path,
        simulator,
        CODEX_WORKERS="2",
        DATABASE_DRIVER="postgres",
        DATABASE_URL=postgres_url,
        CODEX_SECRET_KEY="of-the-tests-and-of-nobody-else-0123",
        CACHE_DRIVER="redis",
        REDIS_ADDR=f"127.0.0.1:{redis_server.port}",
    )
    gateway.simulator = simulator
    try:
        enrol(gateway, simulator)
        gateway.begin()
        yield gateway
    finally:
        gateway.stop()
        simulator.stop()


def test_four_thousand_on_two_workers(two_workers) -> None:
    """They are one gateway: both have some, and nothing is lost."""
    allow_many_files()
    found = hold(two_workers, two_workers.simulator, 4_000)
    print(found)  # noqa: T201 - what is shown is the point
    assert found == {"at once": 4_000, "whole": 4_000, "faults": {}}
    until(lambda: two_workers.metrics()[BUSY] == 0, "no connection is left", within_s=30)
