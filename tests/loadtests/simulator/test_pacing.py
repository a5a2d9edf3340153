"""The wheel calls back in order and never early."""

import asyncio
import time

import orjson

from loadtests.simulator.pacing import Wheel
from tests.loadtests.simulator.peer import prompt, sim


async def test_calls_come_in_order_and_not_early():
    """Whatever the order they were asked in; a call may ask for another."""
    wheel = Wheel(asyncio.get_running_loop())
    called: list[tuple[int, float]] = []
    done = asyncio.Event()
    now = time.monotonic()

    def call(number: int) -> None:
        called.append((number, time.monotonic()))
        if number == 3:
            wheel.at(time.monotonic() - 1, done.set)

    for number in (3, 1, 2):
        wheel.at(now + number * 0.01, lambda number=number: call(number))
    await done.wait()
    assert [number for number, _ in called] == [1, 2, 3]
    assert all(at >= now + number * 0.01 for number, at in called)
    wheel.close()
    wheel.at(now, done.clear)


async def test_a_slow_reader_stops_the_stream(simulator, peer):
    """What is written ahead of the reader is bounded; it all arrives when it reads on."""
    reader, writer = await asyncio.open_connection("127.0.0.1", peer.port, limit=1024)
    text = sim(deltas=200_000, private_events=False)
    body = orjson.dumps(prompt(text))
    fields = "".join(f"{name}: {value}\r\n" for name, value in peer.headers.items())
    head = f"POST /backend-api/codex/responses HTTP/1.1\r\n{fields}"
    writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    await reader.readline()
    previous = -1
    async with asyncio.timeout(10):
        while simulator.world.gauges.bytes_out != previous:
            previous = simulator.world.gauges.bytes_out
            await asyncio.sleep(0.05)
    assert previous < 16 << 20
    total = 0
    while not (data := await reader.read(1 << 16)).endswith(b"0\r\n\r\n"):
        total += len(data)
    assert total > 30 << 20
    writer.transport.abort()
