"""What each shortcut on the way of an event saves, beside the plain way of the same.

PYTHONPATH=. .venv/bin/python tests/bench/shortcuts.py

CPU of one event, the best of some rounds in which both take turns, without sockets. What saves less
than a two-hundredth of an event (0.25 us) is marked: it is not worth its lines. So ended a push to
the server without coroutines (0.2 us), pieces handed out without a list (0.1 us), and a loop in the
place of `any` (0.2 us, of few events).
"""

import asyncio
import gc
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, cast

import uvloop

from app.dialects.responses.replies import ResponsesStream
from app.domain.usage import Heard
from app.edge.responses import ResponsesLane
from app.relay.reply import MEASURED_EVERY, Batch, _measure
from app.upstream.connection import Connection
from app.upstream.tls import Tls
from app.wire.sse import SseDecoder
from loadtests.simulator.tls import make_certificates

ROUNDS: Final = 7
TURNS: Final = 20_000
WORTH_US: Final = 0.25
DATA: Final = (
    b'{"type":"response.output_text.delta","sequence_number":10,"item_id":"msg_01",'
    b'"output_index":1,"content_index":0,"delta":"Hello there","logprobs":[],'
    b'"obfuscation":"Xy12abcdef"}'
)
EVENT: Final = b"event: response.output_text.delta\ndata: %b\n\n" % DATA
CHUNK: Final = b"%x\r\n%b\r\n" % (len(EVENT), EVENT)
HEAD: Final = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
Work = Callable[[], object]
Pair = tuple[str, Work, Work]
"""What it is, the shortcut, and the plain way."""


class Transport:
    """Takes everything."""

    def write(self, data: bytes) -> None:
        """Forget it."""

    def abort(self) -> None:
        """Be gone."""


def of_events() -> Iterator[Pair]:
    """Yield what is done with an event between two sockets."""
    decoder, heard = SseDecoder(), Heard()
    events = decoder.feed(EVENT)
    batch, plain = Batch(EVENT, events, plain=True), Batch(EVENT, events)
    lane = ResponsesLane(model="gpt-5.5", codex_route=False)
    socket_lane = ResponsesStream(codex_route=False)
    yield "decode", lambda: decoder.feed(EVENT), lambda: decoder._feed_any(EVENT)

    def seldom() -> None:
        heard.deltas += 1
        if not heard.deltas % MEASURED_EVERY:
            _measure(heard, DATA)

    yield "size of text", seldom, lambda: _measure(heard, DATA)
    yield "lane", lambda: lane.feed(batch), lambda: lane.feed(plain)
    yield (
        "lane, WebSocket",
        lambda: [event.data for event in events],
        lambda: socket_lane.messages(events),
    )


def of_tls(folder: Path) -> Iterator[Pair]:
    """Yield how a record is read."""
    files = make_certificates(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(incoming, outgoing, server_side=True)
    client = Tls(ssl.create_default_context(cafile=files.authority), "localhost")
    client.begin()
    for _ in range(4):
        incoming.write(client.owed())
        with suppress(ssl.SSLWantReadError):
            server.do_handshake()
        client.receive(outgoing.read())
    assert client.ready

    def record() -> bytes:
        server.write(CHUNK)
        return outgoing.read()

    def plainly() -> bytes:
        client._incoming.write(record())
        found = b""
        try:
            while piece := client._object.read(16_384):
                found += piece
        except ssl.SSLWantReadError:
            pass
        return found

    yield "TLS, making the record too", lambda: client.receive(record()), plainly


def cost_us(work: Work) -> float:
    """Return the CPU time of one turn."""
    began = time.process_time()
    for _ in range(TURNS):
        work()
    return (time.process_time() - began) / TURNS * 1e6


async def waking() -> tuple[float, float]:
    """Return what it costs to hand on what comes, and to wake a task that waits for it."""
    found = []
    for listening in (True, False):
        connection = Connection(None, lambda _: None)
        connection.connection_made(cast("Any", Transport()))
        connection.data_received(HEAD)
        best = float("inf")

        async def read(connection: Connection = connection) -> None:
            while await connection.read():
                pass

        reading = None if listening else asyncio.create_task(read())
        if listening:
            connection.listen(connection.take)
        for _ in range(ROUNDS):
            began = time.process_time()
            for _ in range(TURNS):
                connection.data_received(CHUNK)
                # As the loop does between two sockets.
                await asyncio.sleep(0)
            best = min(best, (time.process_time() - began) / TURNS * 1e6)
        if reading is not None:
            reading.cancel()
        found.append(best)
    return found[0], found[1]


def said(name: str, short: float, plain: float) -> None:
    """Print a line."""
    mark = "" if plain - short >= WORTH_US else "  worth nothing"
    print(f"{name:28} {short:7.2f} us {plain:7.2f} us {plain - short:7.2f} us{mark}")


async def main() -> None:
    """Print a line for each."""
    gc.disable()
    print(f"{'':28} {'shortcut':>10} {'plain':>10} {'saves':>10}")
    with tempfile.TemporaryDirectory() as folder:
        pairs = [*of_events(), *of_tls(Path(folder))]
        for name, short, plain in pairs:
            rounds = [(cost_us(short), cost_us(plain)) for _ in range(ROUNDS)]
            best = [min(each) for each in zip(*rounds, strict=True)]
            said(name, best[0], best[1])
    said("no task is woken", *await waking())


if __name__ == "__main__":
    uvloop.run(main())
