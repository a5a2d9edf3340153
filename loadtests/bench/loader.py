"""The load: raw protocols that send a request and count each event as it arrives, open loop.

Streams begin when the schedule says, whether or not earlier ones have ended, so a slow program
can't slow its own load down. Every delta carries the time at which the simulator wrote it, which
gives each arrival its delay; sequence numbers and stamps prove that nothing is lost or reordered.
Of a stream nothing is kept but a few numbers.
"""

import asyncio
import re
import time
from collections import Counter
from typing import Final

from loadtests.bench.framing import FrameReader, ReplyReader
from loadtests.bench.lanes import Lane

HOST: Final = "127.0.0.1"
HANDSHAKE_END: Final = b"\r\n\r\n"
SWITCHED: Final = 101
_STAMP: Final = re.compile(rb'"(?:delta"|content"|text_delta","text"):"t=(\d+) ')
_SEQUENCE: Final = re.compile(rb'"sequence_number":(\d+)')
_ENDS: Final = (b'"type":"response.completed"', b"data: [DONE]", b'"type":"message_stop"')


class Tally:
    """What the streams of one measurement add up to. `delays` and `firsts` are nanoseconds."""

    def __init__(self, *, deltas: int) -> None:
        self.deltas = deltas
        """How many a complete stream has."""
        self.events = 0
        self.reads = 0
        self.begun = 0
        self.open = 0
        self.complete = 0
        self.faults: Counter[str] = Counter()
        self.recording = False
        """Whether delays are kept now."""
        self.delays: list[int] = []
        self.firsts: list[int] = []
        self._nobody = asyncio.Event()

    def began(self) -> None:
        """A stream is being opened."""
        self.begun += 1
        self.open += 1
        self._nobody.clear()

    def ended(self, fault: str | None) -> None:
        """A stream is over, as it should be or not."""
        self.open -= 1
        if fault is None:
            self.complete += 1
        else:
            self.faults[fault] += 1
        if not self.open:
            self._nobody.set()

    async def all_ended(self, timeout_s: float) -> None:
        """Wait until no stream is open; those that still are then become faults."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._nobody.wait()
        except TimeoutError:
            self.faults["still open"] += self.open


class StreamCaller(asyncio.Protocol):
    """One stream on a connection of its own, read to its end."""

    def __init__(self, request: bytes, tally: Tally, due_ns: int) -> None:
        self._request = request
        self._tally = tally
        self._due_ns = due_ns
        self._reader = ReplyReader()
        self._transport: asyncio.BaseTransport | None = None
        self._rest = b""
        self._sequence = -1
        self._stamp = 0
        self._deltas = 0
        self._fault: str | None = None
        self._terminal = False
        self._over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the request."""
        self._transport = transport
        transport.write(self._request)  # type: ignore[attr-defined]  # uvloop's transports are only alike

    def data_received(self, data: bytes) -> None:
        """Count what has arrived."""
        now = time.monotonic_ns()
        tally = self._tally
        tally.reads += 1
        body = self._reader.feed(data)
        if body:
            self._take(body, now)
        if self._reader.ended:
            self._finish()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note a stream that stopped before its end."""
        if not self._over:
            self._fault = self._fault or f"cut off ({type(exc).__name__})"
            self._finish()

    @property
    def _status(self) -> int:
        return self._reader.status

    def abort(self) -> None:
        """Hang up without another word."""
        if self._transport is not None:
            self._transport.abort()  # type: ignore[attr-defined]  # uvloop's transports are only alike

    def _take(self, body: bytes, now: int) -> None:
        if self._rest or not body.endswith(b"\n\n"):
            body = self._rest + body
            whole = body.rfind(b"\n\n") + 2
            self._rest = body[whole:] if whole > 1 else body
            body = body[:whole] if whole > 1 else b""
        self._count(body, now)

    def _count(self, body: bytes, now: int) -> None:
        """Count whole events."""
        stamps = _STAMP.findall(body)
        for number in _SEQUENCE.findall(body):
            self._sequence += 1
            if int(number) != self._sequence:
                self._fault = "events lost or reordered"
        if not self._terminal:
            self._terminal = any(end in body for end in _ENDS)
        if not stamps:
            return
        tally = self._tally
        if not self._deltas and tally.recording:
            tally.firsts.append(now - self._due_ns)
        tally.events += len(stamps)
        self._deltas += len(stamps)
        for text in stamps:
            stamp = int(text)
            if stamp < self._stamp:
                self._fault = "events reordered"
            self._stamp = stamp
            if tally.recording:
                tally.delays.append(now - stamp)

    def _finish(self) -> None:
        self._over = True
        status = self._status
        if status != 200:
            self._fault = f"status {status}" if status else self._fault
        elif self._fault is None and not self._terminal:
            self._fault = "no terminal event"
        elif self._fault is None and self._deltas != self._tally.deltas:
            self._fault = f"{self._deltas} of {self._tally.deltas} deltas"
        self._tally.ended(self._fault)
        self.abort()


class SocketCaller(StreamCaller):
    """One turn on a WebSocket of its own, read to its end; `request` is handshake and message."""

    def __init__(self, request: bytes, tally: Tally, due_ns: int) -> None:
        handshake, _, self._message = request.partition(HANDSHAKE_END)
        super().__init__(handshake + HANDSHAKE_END, tally, due_ns)
        self._frames = FrameReader()
        self._upgraded = 0

    @property
    def _status(self) -> int:
        return 200 if self._upgraded == SWITCHED else self._upgraded

    def data_received(self, data: bytes) -> None:
        """Count what has arrived."""
        now = time.monotonic_ns()
        self._tally.reads += 1
        if not self._upgraded:
            self._rest += data
            head, found, data = self._rest.partition(HANDSHAKE_END)
            if not found:
                return
            self._rest = b""
            self._upgraded = int(head[9:12])
            if self._upgraded != SWITCHED or self._transport is None:
                self._finish()
                return
            self._transport.write(self._message)  # type: ignore[attr-defined]  # uvloop's transports are only alike
        body = self._frames.feed(data)
        if body:
            self._count(body, now)
        if self._frames.closed and not self._over:
            self._fault = self._fault or "closed"
        if not self._over and (self._terminal or self._frames.closed):
            self._finish()


async def open_streams(
    lane: Lane,
    tally: Tally,
    *,
    count: int,
    over_s: float,
    kind: type[StreamCaller] = StreamCaller,
) -> list[StreamCaller]:
    """Begin that many streams, evenly over a time. Returns when all are connected."""
    requests = lane.stream_requests()
    callers: list[StreamCaller] = []
    begin = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        for number in range(count):
            due = begin + number * over_s / count
            if (wait_s := due - time.monotonic()) > 0:
                await asyncio.sleep(wait_s)
            caller = kind(next(requests), tally, int(due * 1e9))
            callers.append(caller)
            tasks.create_task(connect(lane.port, caller, tally))
    return callers


async def connect(port: int, caller: StreamCaller, tally: Tally) -> None:
    """Open a connection for the caller; a refused one is a fault of the tally."""
    tally.began()
    try:
        await asyncio.get_running_loop().create_connection(lambda: caller, HOST, port)
    except OSError as error:
        tally.ended(f"not connected ({type(error).__name__})")


class WholeCaller(asyncio.Protocol):
    """Asks for whole replies on one kept connection, one after the other."""

    def __init__(self) -> None:
        self._transport: asyncio.BaseTransport | None = None
        self._reader = ReplyReader()
        self._done: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be ready to ask."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Wait for the end of the reply."""
        self._reader.feed(data)
        if self._reader.ended and self._done is not None and not self._done.done():
            self._done.set_result(self._reader.status)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the question that is open."""
        if self._done is not None and not self._done.done():
            self._done.set_exception(exc or ConnectionResetError("hung up early"))

    async def ask(self, request: bytes) -> int:
        """Send a request; return the status when the reply has ended. Raises OSError."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionResetError("hung up between requests")
        self._reader = ReplyReader()
        self._done = asyncio.get_running_loop().create_future()
        self._transport.write(request)  # type: ignore[attr-defined]  # uvloop's transports are only alike
        return await self._done

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()
