"""A TCP proxy that makes trouble: late, slow, silent, cut, garbled, one at a time or together.

    async with chaos(port) as between:      others dial `between.port`
        between.latency_s = 0.5             every piece comes so much later, both ways together
        between.back.bytes_per_s = 1_000    the server's bytes come at that rate
        between.back.slice_bytes = 1        and one by one
        between.back.limit_bytes = 300      after so many the connection is closed
        between.forth.corrupt_every = 100   a bit of every hundredth byte is another one
        between.back.stalled = True         no byte is taken any more, as of a peer that is gone
        between.blackhole = True            bytes are taken and go nowhere, connections stay
        between.half_open = True            who closes is not missed: the other end is never told
        between.slow_close_s = 2.0          the other end is told so much later
        between.timeout_s = 1.0             nothing passes, and after so long it is closed
        between.reset_after_s = 1.0         after so long it is reset
        between.refuse = True               who dials is reset
        between.reset()                     who is connected is reset

`forth` is what goes to the server, `back` what comes from it. What is set counts at once, also for
connections that are there; what is told of time counts from their beginning. Pieces keep their
order. It carries some thousand pieces a second, which is enough for faults; it is no load
generator.
"""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from random import Random
from typing import Any, Final

from msgspec import Struct

PIECE_BYTES_MAX: Final = 65_536
PIECES_MAX: Final = 1_000
"""Pieces that are kept back for one direction of a connection; then its sender is let wait."""
LOOK_S: Final = 0.02
"""How often what may be set meanwhile is looked at."""
_ABORT: Final = struct.pack("ii", 1, 0)


class Way(Struct):
    """What happens to the bytes of one direction."""

    latency_s: float = 0.0
    jitter_s: float = 0.0
    """Up to so much more, another one for each piece."""
    bytes_per_s: float = 0.0
    """0 is as fast as they come."""
    slice_bytes: int = 0
    """Pieces are cut into such small ones."""
    slice_gap_s: float = 0.0
    limit_bytes: int | None = None
    """After so many bytes of a connection it is closed."""
    corrupt_every: int = 0
    """One bit of every n-th byte is flipped."""
    blackhole: bool = False
    """What comes goes nowhere."""
    stalled: bool = False
    """Nothing is taken any more, as by a peer whose window is full or who is gone."""


class Chaos:
    """What happens between those who dial `port` and the server behind it."""

    def __init__(self, target: int, seed: int = 1) -> None:
        self.port = 0
        self.connections = 0
        """How many were made so far."""
        self._target = target
        self._rng = Random(seed)
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self.calm()

    def calm(self) -> None:
        """Make no more trouble."""
        self.forth, self.back = Way(), Way()
        self.refuse = self.half_open = False
        self.slow_close_s = 0.0
        self.timeout_s: float | None = None
        self.reset_after_s: float | None = None

    @property
    def latency_s(self) -> float:
        """How much later everything is, both ways together."""
        return self.forth.latency_s + self.back.latency_s

    @latency_s.setter
    def latency_s(self, seconds: float) -> None:
        self.forth.latency_s = self.back.latency_s = seconds / 2

    @property
    def blackhole(self) -> bool:
        """Whether nothing passes in either direction."""
        return self.forth.blackhole and self.back.blackhole

    @blackhole.setter
    def blackhole(self, value: bool) -> None:
        self.forth.blackhole = self.back.blackhole = value

    def reset(self) -> None:
        """Cut all connections off as a machine does that has lost them: by a reset."""
        for writer in list(self._writers):
            _abort(writer)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until either end has closed it."""
        self.connections += 1
        task = asyncio.current_task()
        self._tasks |= {task} if task else set()
        self._writers.add(writer)
        there = None
        try:
            if self.refuse:
                return
            back, there = await asyncio.open_connection("127.0.0.1", self._target)
            self._writers.add(there)
            async with asyncio.TaskGroup() as group:
                watch = group.create_task(self._watch(writer, there))
                ways = [
                    group.create_task(self._carry(reader, there, "forth")),
                    group.create_task(self._carry(back, writer, "back")),
                ]
                await asyncio.wait(ways)
                watch.cancel()
        except* (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._tasks -= {task}
            for each in (writer, there):
                if each is not None:
                    self._writers.discard(each)
                    _abort(each)

    async def _watch(self, *writers: asyncio.StreamWriter) -> None:
        """End a connection when its time has come."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            age_s = loop.time() - began
            if self.reset_after_s is not None and age_s >= self.reset_after_s:
                for writer in writers:
                    _abort(writer)
                return
            if self.timeout_s is not None and age_s >= self.timeout_s:
                for writer in writers:
                    writer.close()
                return
            await asyncio.sleep(LOOK_S)

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str
    ) -> None:
        """Carry one direction; each piece leaves so long after it came, whatever follows it."""
        pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(PIECES_MAX)
        loop = asyncio.get_running_loop()

        async def leave() -> None:
            passed = 0
            while True:
                due, piece = await pieces.get()
                await asyncio.sleep(max(0.0, due - loop.time()))
                if not piece:
                    break
                way: Way = getattr(self, name)
                if way.limit_bytes is not None and passed + len(piece) >= way.limit_bytes:
                    await self._pass(writer, piece[: way.limit_bytes - passed], way, passed)
                    writer.close()
                    return
                await self._pass(writer, piece, way, passed)
                passed += len(piece)
            await self._end(writer)

        async with asyncio.TaskGroup() as group:
            group.create_task(leave())
            piece = b"-"
            while piece:
                while getattr(self, name).stalled:  # noqa: ASYNC110 (nobody says when it ends)
                    await asyncio.sleep(LOOK_S)
                piece = await reader.read(PIECE_BYTES_MAX)
                way: Way = getattr(self, name)
                later = way.latency_s + way.jitter_s * self._rng.random()
                await pieces.put((loop.time() + later, piece))

    async def _pass(
        self, writer: asyncio.StreamWriter, piece: bytes, way: Way, passed: int
    ) -> None:
        """Let a piece through, as far and as fast as it may go."""
        if way.blackhole or self.timeout_s is not None:
            return
        if way.corrupt_every:
            piece = _corrupted(piece, way.corrupt_every, passed)
        step = way.slice_bytes or len(piece)
        for start in range(0, len(piece), max(1, step)):
            part = piece[start : start + step]
            writer.write(part)
            await writer.drain()
            if way.bytes_per_s:
                await asyncio.sleep(len(part) / way.bytes_per_s)
            if way.slice_gap_s:
                await asyncio.sleep(way.slice_gap_s)

    async def _end(self, writer: asyncio.StreamWriter) -> None:
        """Tell the other end that this one has closed, if that may be told."""
        while self.half_open:  # noqa: ASYNC110 (whoever sets it has no event for it)
            await asyncio.sleep(LOOK_S)
        await asyncio.sleep(self.slow_close_s)
        with suppress(OSError, RuntimeError):
            writer.write_eof()

    async def close(self) -> None:
        """Cut everything off and wait until it is."""
        self.reset()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _corrupted(piece: bytes, every: int, passed: int) -> bytes:
    """Flip the lowest bit of every n-th byte of a connection."""
    changed = bytearray(piece)
    for place in range(-passed % every, len(changed), every):
        changed[place] ^= 1
    return bytes(changed)


def _abort(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    if sock is not None:
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
    writer.transport.abort()


@asynccontextmanager
async def chaos(target: int, *, seed: int = 1) -> AsyncIterator[Chaos]:
    """Run a proxy in front of a port of the loopback; it makes no trouble until it is told to."""
    between = Chaos(target, seed)
    server = await asyncio.start_server(between.serve, "127.0.0.1", 0)
    between.port = server.sockets[0].getsockname()[1]
    try:
        yield between
    finally:
        server.close()
        await between.close()
