"""A peer on a real socket that speaks raw bytes, so that a test decides on every one of them."""

import asyncio
import ssl
import struct
from collections.abc import Awaitable, Callable
from socket import SO_LINGER, SOL_SOCKET
from typing import Self

from msgspec import Struct, field


class Request(Struct):
    """What came over a connection as one request."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes

    def values(self, name: str) -> list[str]:
        """Return every value of a header."""
        return [value for key, value in self.headers if key == name]


class Link:
    """One accepted connection."""

    def __init__(
        self, peer: "Peer", reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.peer = peer
        self.reader = reader
        self.writer = writer
        self.number = len(peer.links)
        self.gone = asyncio.Event()
        """Set once the other side has closed."""

    async def request(self) -> Request:
        """Return the next request, whole; raises IncompleteReadError when there is none."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *fields = head.split("\r\n")[:-2]
        headers = [(n.lower(), v.strip()) for n, _, v in (f.partition(":") for f in fields)]
        found = Request(line, headers, b"")
        length = found.values("content-length")
        found.body = await self.reader.readexactly(int(length[0]) if length else 0)
        self.peer.requests.append(found)
        return found

    async def send(self, *pieces: bytes) -> None:
        """Send each piece on its own, so that each travels on its own."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0.005)

    async def wait_until_gone(self) -> None:
        """Return once the other side has closed its end."""
        try:
            while await self.reader.read(65_536):
                pass
        except ConnectionError:
            pass
        self.gone.set()

    def reset(self) -> None:
        """Close with RST instead of FIN."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Script = Callable[[Link], Awaitable[None]]


class Peer(Struct):
    """A server on localhost that runs `script` for every connection, then closes it."""

    script: Script
    tls: ssl.SSLContext | None = None
    requests: list[Request] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    port: int = 0
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", 0, ssl=self.tls, limit=1 << 20
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for link in self.links:
            link.writer.transport.abort()
        await asyncio.sleep(0.01)

    @property
    def url(self) -> str:
        """Where to post to."""
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}/codex/responses"

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = Link(self, reader, writer)
        self.links.append(link)
        task = asyncio.create_task(self._serve(link))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, link: Link) -> None:
        try:
            await self.script(link)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            link.writer.close()
