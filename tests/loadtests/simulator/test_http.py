"""The request side of the raw HTTP server: forms of bodies, pipelines, nonsense."""

import asyncio
import contextlib

import orjson
import pytest

from tests.loadtests.simulator.peer import CODEX, prompt, until

BODY = orjson.dumps(prompt("echo: x"))


@pytest.fixture
async def wire(simulator, peer):
    """A raw connection, and the headers that the backend wants."""
    reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port)
    fields = "".join(f"{name}: {value}\r\n" for name, value in peer.headers.items())
    yield reader, writer, fields
    writer.transport.abort()


async def reply(reader) -> bytes:
    """Return the bytes of a chunked reply."""
    return await reader.readuntil(b"\r\n0\r\n\r\n")


@pytest.mark.parametrize("size", [1, 7, 4096])
async def test_chunked_request_bodies(wire, simulator, size):
    """With extensions and trailers, cut up anywhere."""
    reader, writer, fields = wire
    head = f"POST {CODEX} HTTP/1.1\r\n{fields}transfer-encoding: chunked\r\n\r\n".encode()
    half = len(BODY) // 2
    chunks = b"".join(
        b"%x;ext=1\r\n%b\r\n" % (len(part), part) for part in (BODY[:half], BODY[half:])
    )
    data = head + chunks + b"0\r\ntrailer: x\r\n\r\n"
    for at in range(0, len(data), size):
        writer.write(data[at : at + size])
        await asyncio.sleep(0)
    assert (await reply(reader)).startswith(b"HTTP/1.1 200 OK")
    await until(lambda: simulator.world.ledger.records)
    assert simulator.world.ledger.records[0].request_bytes == len(BODY)


async def test_a_body_is_asked_for_when_it_waits_for_that(wire):
    """`Expect: 100-continue`."""
    reader, writer, fields = wire
    expect = f"expect: 100-continue\r\ncontent-length: {len(BODY)}\r\n\r\n"
    writer.write(f"POST {CODEX} HTTP/1.1\r\n{fields}{expect}".encode())
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(BODY)
    assert b"response.completed" in await reply(reader)


async def test_pipelined_requests_are_answered_in_order(wire):
    """Three requests in one write."""
    reader, writer, fields = wire
    head = f"POST {CODEX} HTTP/1.1\r\n{fields}content-length: {len(BODY)}\r\n\r\n"
    writer.write((head.encode() + BODY) * 3)
    ids = [
        line
        for _ in range(3)
        for line in (await reply(reader)).split(b"\r\n")
        if line.startswith(b"x-sim-request-id")
    ]
    assert [line[-1:] for line in ids] == [b"1", b"2", b"3"]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/2\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", b"400"),
    ],
)
async def test_nonsense_is_refused(wire, data, status):
    """And the connection ends."""
    reader, writer, _ = wire
    writer.write(data)
    answered = await reader.read()
    assert status in answered


async def test_an_endless_head_ends_the_connection(wire):
    """431, if the peer still reads it."""
    reader, writer, _ = wire
    writer.write(b"GET / HTTP/1.1\r\nx: " + b"y" * (5 << 20))
    with contextlib.suppress(ConnectionError):
        assert b" 431 " in await reader.read()


async def test_connection_close_is_honoured(wire):
    """The reply says so, and the end follows."""
    reader, writer, fields = wire
    closing = f"connection: close\r\ncontent-length: {len(BODY)}\r\n\r\n"
    writer.write(f"POST {CODEX} HTTP/1.1\r\n{fields}{closing}".encode() + BODY)
    answered = await reader.read()
    assert b"connection: close" in answered
    assert answered.endswith(b"0\r\n\r\n")
