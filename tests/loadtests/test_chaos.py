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


async def test_bytes_come_slowly_and_in_slices(between):
    """At the rate that was said, however they are cut."""
    between.back.slice_bytes, between.back.bytes_per_s = 10, 200
    async with dial(between) as (reader, writer):
        began = asyncio.get_running_loop().time()
        writer.write(bytes(100))
        assert await reader.readexactly(100) == bytes(100)
        assert asyncio.get_running_loop().time() - began >= 0.4


async def test_after_its_limit_a_connection_is_closed(between):
    """Within a piece; what fits has passed."""
    between.back.limit_bytes = 5
    async with dial(between) as (reader, writer):
        writer.write(b"0123456789")
        assert await reader.read(-1) == b"01234"


async def test_bits_are_flipped(between):
    """The same ones, however the bytes came: of every n-th byte of a connection."""
    between.forth.corrupt_every = 3
    async with dial(between) as (reader, writer):
        for piece in (b"\0\0", b"\0\0\0", b"\0"):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        assert await reader.readexactly(6) == b"\1\0\0\1\0\0"


async def test_nothing_passes_and_then_it_is_closed(between):
    """As a firewall does that has lost patience."""
    between.timeout_s = 0.1
    async with dial(between) as (reader, writer):
        writer.write(b"x")
        assert await reader.read(-1) == b""


async def test_it_is_reset_after_a_while(between):
    """Also in the middle."""
    between.reset_after_s = 0.1
    async with dial(between) as (reader, writer):
        writer.write(b"x")
        await reader.readexactly(1)
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)


async def test_an_end_is_told_late_or_never(between):
    """Half open: one end has gone, and the other one waits."""
    between.half_open = True
    async with dial(between) as (reader, writer):
        writer.write(b"x")
        writer.write_eof()
        assert await reader.readexactly(1) == b"x"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), PATIENCE_S)
        between.slow_close_s = 0.1
        between.half_open = False
        assert await reader.read(1) == b""
