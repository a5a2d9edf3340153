"""`python -m loadtests.simulator.speed`: how many events a second one core of the simulator sends.

The simulator runs in a process of its own; a trivial reader here counts bytes and blank lines.
Events per second of the simulator's CPU time is the figure that matters: above what a gateway
needs, the simulator is never the bottleneck of a load test. `paced` sends each event in a write
of its own at a fixed pace per stream, `flat_out` as fast as the sockets take them, `burst` with
many events in a write.
"""

import argparse
import asyncio
import contextlib
import subprocess
import sys
import time
import urllib.request
from typing import Any

import msgspec
import orjson
import uvloop

READ_BYTES = 1 << 16


class Case(msgspec.Struct, frozen=True):
    """One way of sending."""

    name: str
    streams: int
    deltas: int
    knobs: dict[str, Any]


class Figures(msgspec.Struct):
    """What was measured."""

    case: str
    streams: int
    events: int
    reads: int
    wall_s: float
    cpu_s: float

    @property
    def per_core_s(self) -> float:
        """Events per second of CPU time."""
        return self.events / self.cpu_s


def main() -> None:
    """Run the cases and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=300)
    parser.add_argument("--pace", type=float, default=100.0, help="events/s of a paced stream")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    given = parser.parse_args()
    deltas = int(given.pace * given.seconds)
    cases = [
        Case("paced", given.streams, deltas, {"events_per_s": given.pace}),
        Case("flat_out", 50, 4000, {"events_per_s": 0}),
        Case("burst", 50, 4000, {"burst": True}),
    ]
    for figures in uvloop.run(_measure_all(cases)):
        if given.json:
            shown = {**msgspec.to_builtins(figures), "per_core_s": figures.per_core_s}
            print(orjson.dumps(shown).decode())
        else:
            print(
                f"{figures.case:9} {figures.streams:4} streams {figures.events:8} events "
                f"{figures.reads:8} reads {figures.wall_s:6.2f} s wall {figures.cpu_s:6.2f} s CPU "
                f"{figures.per_core_s:10.0f} events/s per core "
                f"({figures.events / figures.wall_s:.0f}/s sent)"
            )


async def _measure_all(cases: list[Case]) -> list[Figures]:
    command = [sys.executable, "-m", "loadtests.simulator", "--profile", "fast", "--control"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:  # noqa: ASYNC220  (start)
        try:
            assert process.stdout is not None  # noqa: S101  (narrows the type)
            addresses = orjson.loads(process.stdout.readline())
            return [await _measure(case, addresses) for case in cases]
        finally:
            process.terminate()


async def _measure(case: Case, addresses: dict[str, Any]) -> Figures:
    control = addresses["control_url"]
    accounts = await asyncio.to_thread(_get, f"{control}/accounts")
    cpu_before_s = (await asyncio.to_thread(_get, f"{control}/time"))["cpu_s"]
    began = time.monotonic()
    readers = [
        _read(addresses["port"], _request(accounts[number % len(accounts)], case))
        for number in range(case.streams)
    ]
    counts = await asyncio.gather(*readers)
    wall_s = time.monotonic() - began
    cpu_s = (await asyncio.to_thread(_get, f"{control}/time"))["cpu_s"] - cpu_before_s
    events, reads = (sum(column) for column in zip(*counts, strict=True))
    return Figures(case.name, case.streams, events, reads, wall_s, cpu_s)


def _request(account: dict[str, str], case: Case) -> bytes:
    directive = orjson.dumps({"deltas": case.deltas, **case.knobs}).decode()
    text = f"[[sim {directive}]]"
    message = {"role": "user", "content": [{"type": "input_text", "text": text}]}
    body = orjson.dumps(
        {
            "model": "gpt-5.5",
            "instructions": "",
            "store": False,
            "stream": True,
            "input": [message],
        }
    )
    head = (
        "POST /backend-api/codex/responses HTTP/1.1\r\nhost: sim\r\n"
        f"authorization: Bearer {account['access_token']}\r\n"
        f"chatgpt-account-id: {account['account_id']}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _read(port: int, request: bytes) -> tuple[int, int]:
    """Read one reply to its end; returns the events and the reads it took."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    events = reads = 0
    rest = b""
    while True:
        data = await reader.read(READ_BYTES)
        if not data:
            raise ConnectionError("the simulator hung up early")
        reads += 1
        seen = rest + data
        events += seen.count(b"\n\n")
        rest = seen[-1:]
        if seen.endswith(b"0\r\n\r\n"):
            break
        if seen.endswith(b"\n\n"):
            rest = b""
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return events, reads


def _get(url: str) -> Any:
    with urllib.request.urlopen(url) as reply:  # noqa: S310  (an address of our own)
        return orjson.loads(reply.read())


if __name__ == "__main__":
    main()
