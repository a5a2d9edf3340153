"""A proxy that makes trouble, in front of a server that says everything back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from loadtests.chaos import Chaos, chaos

PATIENCE_S = 0.2


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say everything back, until there is no more."""
    while piece := await reader.read(65_536):
        writer.write(piece)
    writer.close()


@pytest.fixture
async def between() -> AsyncIterator[Chaos]:
    """A proxy that makes no trouble yet."""
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with chaos(server.sockets[0].getsockname()[1]) as proxy:
        yield proxy
    server.close()


@asynccontextmanager
async def dial(between: Chaos) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Be connected."""
    reader, writer = await asyncio.open_connection("127.0.0.1", between.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def test_without_trouble_bytes_pass_as_they_are(between):
    """In their order, to the last one, and the end of one side is the end of the other."""
    sent = bytes(range(256)) * 1_000
    async with dial(between) as (reader, writer):
        writer.write(sent)
        writer.write_eof()
        assert await reader.read(-1) == sent
    assert between.connections == 1


async def test_what_is_late_is_late_and_in_order(between):
    """Both ways together take as long as was said; calm ends it for what comes then."""
    async with dial(between) as (reader, writer):
        between.latency_s = 0.5
        began = asyncio.get_running_loop().time()
        writer.write(b"one")
        assert await reader.readexactly(3) == b"one"
        assert asyncio.get_running_loop().time() - began >= 0.5
        between.calm()
        writer.write(b"two")
        assert await reader.readexactly(3) == b"two"


async def test_a_black_hole_takes_everything_and_closes_nothing(between):
    """What was taken is gone; what comes afterwards passes."""
    async with dial(between) as (reader, writer):
        between.blackhole = True
        writer.write(b"gone")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(4), PATIENCE_S)
        between.calm()
        writer.write(b"here")
        assert await reader.readexactly(4) == b"here"


async def test_connections_are_reset(between):
    """Those that are there, and those that are tried."""
    async with dial(between) as (reader, writer):
        writer.write(b"x")
        await reader.readexactly(1)
        between.reset()
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)
    between.refuse = True
    async with dial(between) as (refused, _):
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await refused.readexactly(1)
