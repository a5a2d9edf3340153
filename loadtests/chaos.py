"""A TCP proxy that makes trouble: late, silent, cut off, one at a time or together.

    async with chaos(port) as between:      others dial `between.port`
        between.latency_s = 0.5             every piece comes so much later, both ways together
        between.blackhole = True            bytes are taken and go nowhere, connections stay
        between.refuse = True               who dials is reset
        between.reset()                     who is connected is reset

What is set counts at once, also for connections that are there. Pieces keep their order. It carries
some thousand pieces a second, which is enough for a database of small questions; it is no load
generator.
"""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

PIECE_BYTES_MAX: Final = 65_536
PIECES_MAX: Final = 1_000
"""Pieces that are kept back for one direction of a connection; then its sender is let wait."""
_ABORT: Final = struct.pack("ii", 1, 0)


class Chaos:
    """What happens between those who dial `port` and the server behind it."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self.latency_s = 0.0
        self.blackhole = False
        self.refuse = False
        self.connections = 0
        """How many were made so far."""
        self._target = target
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[Any]] = set()

    def calm(self) -> None:
        """Make no more trouble."""
        self.latency_s = 0.0
        self.blackhole = self.refuse = False

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
                group.create_task(self._carry(reader, there, delay=lambda: self.latency_s / 2))
                group.create_task(self._carry(back, writer, delay=lambda: self.latency_s / 2))
        except* (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._tasks -= {task}
            for each in (writer, there):
                if each is not None:
                    self._writers.discard(each)
                    _abort(each)

    async def _carry(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        delay: Callable[[], float],
    ) -> None:
        """Carry one direction; each piece leaves so long after it came, whatever follows it."""
        pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(PIECES_MAX)
        loop = asyncio.get_running_loop()

        async def leave() -> None:
            while True:
                due, piece = await pieces.get()
                await asyncio.sleep(max(0.0, due - loop.time()))
                if not piece:
                    break
                if not self.blackhole:
                    writer.write(piece)
                    await writer.drain()
            with suppress(OSError, RuntimeError):
                writer.write_eof()

        async with asyncio.TaskGroup() as group:
            group.create_task(leave())
            piece = b"-"
            while piece:
                piece = await reader.read(PIECE_BYTES_MAX)
                await pieces.put((loop.time() + delay(), piece))

    async def close(self) -> None:
        """Cut everything off and wait until it is."""
        self.reset()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _abort(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    if sock is not None:
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
    writer.transport.abort()


@asynccontextmanager
async def chaos(target: int) -> AsyncIterator[Chaos]:
    """Run a proxy in front of a port of the loopback; it makes no trouble until it is told to."""
    between = Chaos(target)
    server = await asyncio.start_server(between.serve, "127.0.0.1", 0)
    between.port = server.sockets[0].getsockname()[1]
    try:
        yield between
    finally:
        server.close()
        await between.close()
