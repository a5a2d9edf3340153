"""Tests of app.upstream.retelling."""

import pytest

from app.dialects.chat_upstream.decoder import RetoldDecoder
from app.dialects.chat_upstream.replies import Retold, Teller
from app.ports import UpstreamFailure
from app.upstream.retelling import RetoldReply
from tests.fakes.upstream import SSE, Answer, FakeReply, broken

HI = b'data: {"choices":[{"delta":{"content":"Hi"}}]}\n\n'
STOP = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"


def reply(*steps: bytes | Exception) -> tuple[RetoldReply, list[str]]:
    """Return a reply over these pieces, and what is done to it."""
    log: list[str] = []
    inner = FakeReply("a", Answer(list(steps)), log)
    return RetoldReply(inner, Retold(Teller("x", 1, "m"))), log


async def read(found: RetoldReply) -> bytes:
    """Return all of a reply as it is decoded."""
    decoder = RetoldDecoder(found.retold, event_bytes_max=1 << 20)
    pieces = []
    while (piece := await found.read()) is not None:
        events = decoder.feed(piece)
        assert decoder.taken == b"".join(event.raw for event in events)
        pieces.append(decoder.taken)
    assert await found.read() is None
    assert decoder.finish() is None
    return b"".join(pieces)


async def test_a_stream_is_the_same_however_it_is_cut():
    """Byte by byte, whole, and without the blank line at its end."""
    stream = HI + STOP + DONE
    whole = await read(reply(stream)[0])
    assert whole.count(b"event: response.completed") == 1
    assert await read(reply(*(stream[i : i + 1] for i in range(len(stream))))[0]) == whole
    assert await read(reply(HI, STOP, DONE.rstrip())[0]) == whole
    assert await read(reply(HI, STOP)[0]) == whole


async def test_a_stream_that_just_stops_is_not_completed():
    """The relay judges it as any other that breaks off."""
    assert b"response.completed" not in await read(reply(HI)[0])


async def test_a_failure_passes_through_and_so_does_letting_go():
    """Nothing is kept here."""
    found, log = reply(HI, broken())
    assert (found.status, list(found.headers)) == (200, [SSE])
    await found.read()
    with pytest.raises(UpstreamFailure):
        await found.read()
    await found.abort()
    await found.finish()
    assert log == ["a aborted", "a finished"]
