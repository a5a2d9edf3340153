"""Tests of app.edge.sockets.outgoing."""

import asyncio
from typing import Any

import pytest

from app.edge.sockets.outgoing import BYTES_MAX, UNDER_WAY_MAX, Outgoing


class Server:
    """Takes messages as Granian does: each is under way at once, and taken when it is."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.under_way: list[asyncio.Future[None]] = []

    def send(self, message: Any) -> asyncio.Future[None]:
        """Begin with a message."""
        assert message == {"type": "websocket.send", "text": message["text"], "bytes": None}
        self.sent.append(message["text"])
        sending: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.under_way.append(sending)
        return sending

    def take(self, count: int = 1) -> None:
        """Have the caller take that many."""
        for _ in range(count):
            self.under_way.pop(0).set_result(None)


def made() -> tuple[Server, Outgoing]:
    """Return a server, and what sends to it."""
    server = Server()
    return server, Outgoing(server.send)


async def test_a_caller_that_reads_is_never_waited_for() -> None:
    """However much it is sent, and in the order in which it was."""
    server, outgoing = made()
    for number in range(1_000):
        assert outgoing.put(str(number)) is None
        server.take()
    await outgoing.flush()
    assert server.sent == [str(number) for number in range(1_000)]
    assert (len(outgoing._under_way), outgoing._bytes) == (0, 0)


@pytest.mark.parametrize(("size", "count"), [(1, UNDER_WAY_MAX), (BYTES_MAX // 4, 4)])
async def test_a_caller_that_reads_slowly_is_waited_for(size, count) -> None:
    """As soon as as many messages, or bytes, are under way as may be."""
    server, outgoing = made()
    for _ in range(count):
        assert outgoing.put("x" * size) is None
    waiting = asyncio.ensure_future(outgoing.say("x" * size))
    await asyncio.sleep(0)
    assert not waiting.done()
    server.take()
    await waiting
    assert len(server.under_way) == count


async def test_a_message_of_any_size_goes_out() -> None:
    """And is waited for itself if it is over the bound."""
    server, outgoing = made()
    waiting = asyncio.ensure_future(outgoing.say("x" * (BYTES_MAX + 1)))
    await asyncio.sleep(0)
    assert not waiting.done()
    server.take()
    await waiting
    assert outgoing.put("y") is None


async def test_the_end_waits_for_everything() -> None:
    """Whoever ends a turn wants to know that it has gone out."""
    server, outgoing = made()
    outgoing.put("a")
    outgoing.put("b")
    flushing = asyncio.ensure_future(outgoing.flush())
    server.take()
    await asyncio.sleep(0)
    assert not flushing.done()
    server.take()
    await flushing


@pytest.mark.parametrize("how", ["say", "flush"])
async def test_what_the_server_says_of_a_message_is_heard(how) -> None:
    """With the next one, or at the end."""
    server, outgoing = made()
    outgoing.put("a")
    server.under_way[0].set_exception(RuntimeError("closed"))
    with pytest.raises(RuntimeError, match="closed"):
        await (outgoing.say("b") if how == "say" else outgoing.flush())


async def test_another_server_is_waited_for_each_time() -> None:
    """One whose `send` is a coroutine has not begun before it is awaited."""
    sent: list[str] = []

    async def send(message: Any) -> None:
        sent.append(message["text"])

    outgoing = Outgoing(send)
    await outgoing.say("a")
    waiting = outgoing.put("b")
    assert sent == ["a"]
    assert waiting is not None
    await waiting
    await outgoing.flush()
    assert sent == ["a", "b"]
