"""One connection, without a network: what it makes of bytes, and when it is free again.

What it does on real sockets is in `test_http`.
"""

import asyncio

import pytest

from app.ports import UpstreamFailure
from app.upstream import connection as subject
from app.upstream.connection import Connection

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """Return the data as one chunk of a body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class Transport(asyncio.Transport):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []
        self.said: list[str] = []

    def write(self, data: bytes) -> None:
        """Keep it."""
        self.sent.append(bytes(data))

    def pause_reading(self) -> None:
        """Note it."""
        self.said.append("pause")

    def resume_reading(self) -> None:
        """Note it."""
        self.said.append("resume")

    def abort(self) -> None:
        """Note it."""
        self.said.append("abort")


class Scene:
    """A connection with a request under way."""

    def __init__(self) -> None:
        self.lost: list[Connection] = []
        self.transport = Transport()
        self.connection = Connection(None, self.lost.append)
        self.connection.connection_made(self.transport)

    async def ask(self, *answer: bytes, body: bytes = b"{}"):
        """Send a request and receive the beginning of its answer."""
        await self.connection.secured()
        asking = asyncio.create_task(self.connection.request(b"POST / HTTP/1.1\r\n\r\n", body))
        await asyncio.sleep(0)
        for piece in answer:
            self.connection.data_received(piece)
        return await asking


async def test_what_came_meanwhile_is_read_at_once_and_together():
    """Nobody is woken once for each."""
    scene = Scene()
    headers = await scene.ask(HEAD)
    assert scene.connection.status == 200
    assert ("content-type", "text/event-stream") in headers
    assert scene.connection.take() == b""
    for n in b"abc":
        scene.connection.data_received(chunk(bytes([n])))
    assert await scene.connection.read() == b"abc"
    scene.connection.data_received(END)
    assert (await scene.connection.read(), scene.connection.take()) == (None, None)


async def test_who_listens_is_told_of_each_piece_and_of_the_end():
    """In the call that brings it."""
    scene = Scene()
    await scene.ask(HEAD)
    taken = []
    scene.connection.listen(lambda: taken.append(scene.connection.take()))
    scene.connection.data_received(chunk(b"one"))
    scene.connection.data_received(chunk(b"two"))
    scene.connection.data_received(END)
    assert taken == [b"one", b"two", None]


async def test_a_slow_reader_holds_the_upstream_back(monkeypatch):
    """Until it has taken what there is."""
    monkeypatch.setattr(subject, "READ_BYTES_MAX", 10)
    scene = Scene()
    await scene.ask(HEAD)
    scene.connection.data_received(chunk(b"x" * 10))
    assert scene.transport.said == []
    scene.connection.data_received(chunk(b"y"))
    scene.connection.data_received(chunk(b"z"))
    assert scene.transport.said == ["pause"]
    assert await scene.connection.read() == b"x" * 10 + b"yz"
    assert scene.transport.said == ["pause", "resume"]


@pytest.mark.parametrize(
    ("wire", "kept"),
    [
        (chunk(b"a") + END, True),
        (chunk(b"a") + END + b"HTTP/1.1 200 OK\r\n", False),
        (chunk(b"a") + END + b"surplus", False),
        (chunk(b"a"), False),
    ],
    ids=["whole", "another reply", "surplus", "not whole"],
)
async def test_it_is_free_again_only_after_exactly_one_reply(wire, kept):
    """Everything else closes it."""
    scene = Scene()
    await scene.ask(HEAD)
    scene.connection.data_received(wire)
    assert await scene.connection.read() == b"a"
    assert scene.connection.release() is kept
    assert scene.connection.free is kept
    assert ("abort" in scene.transport.said) is not kept


async def test_a_connection_that_is_told_to_close_is_not_kept():
    """The upstream says so in its head."""
    scene = Scene()
    await scene.ask(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
    assert await scene.connection.read() is None
    assert not scene.connection.release()


@pytest.mark.parametrize("event", ["bytes", "end"])
async def test_whatever_happens_to_a_free_connection_ends_it(event):
    """Whoever keeps it is told."""
    scene = Scene()
    await scene.ask(b"HTTP/1.1 204 No\r\n\r\n")
    assert scene.connection.release()
    if event == "bytes":
        scene.connection.data_received(b"HTTP/1.1 200 OK\r\n\r\n")
    else:
        scene.connection.connection_lost(None)
    assert scene.lost == [scene.connection]
    assert (scene.connection.free, scene.connection.closed) == (False, True)


async def test_a_long_body_is_sent_as_it_is_taken(monkeypatch):
    """In pieces, and not before there is room."""
    monkeypatch.setattr(subject, "WRITE_BYTES", 4)
    scene = Scene()
    await scene.connection.secured()
    scene.connection.pause_writing()
    asking = asyncio.create_task(scene.connection.request(b"head", b"0123456789"))
    await asyncio.sleep(0)
    assert scene.transport.sent == [b"head"]
    scene.connection.resume_writing()
    await asyncio.sleep(0)
    assert scene.transport.sent == [b"head", b"0123", b"4567", b"89"]
    scene.connection.data_received(HEAD)
    await asking


async def test_an_answer_before_the_end_of_the_body_ends_the_upload(monkeypatch):
    """And the connection, which can't carry another request."""
    monkeypatch.setattr(subject, "WRITE_BYTES", 4)
    scene = Scene()
    await scene.connection.secured()
    scene.connection.pause_writing()
    asking = asyncio.create_task(scene.connection.request(b"head", b"0123456789"))
    await asyncio.sleep(0)
    scene.connection.data_received(b"HTTP/1.1 413 Large\r\ncontent-length: 0\r\n\r\n")
    scene.connection.resume_writing()
    await asking
    assert scene.connection.status == 413
    assert scene.transport.sent == [b"head"]
    assert not scene.connection.release()


async def test_an_upload_ends_with_its_connection(monkeypatch):
    """Nobody waits for room that will never be."""
    monkeypatch.setattr(subject, "WRITE_BYTES", 4)
    scene = Scene()
    await scene.connection.secured()
    scene.connection.pause_writing()
    asking = asyncio.create_task(scene.connection.request(b"head", b"0123456789"))
    await asyncio.sleep(0)
    scene.connection.connection_lost(ConnectionResetError("reset"))
    with pytest.raises(UpstreamFailure, match="reset"):
        await asking


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 600 + b"\r\n",
        b"HTTP/1.1 200 OK\r\na: " + b"b" * 200_000 + b"\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    ],
    ids=["fields", "bytes", "upgrade"],
)
async def test_a_head_that_is_none_is_a_failure(head):
    """It is bounded, and it is an answer."""
    scene = Scene()
    with pytest.raises(UpstreamFailure) as caught:
        await scene.ask(head)
    assert caught.value.sent
    assert "abort" in scene.transport.said


async def test_a_trailer_is_read_over():
    """It means nothing to anybody."""
    scene = Scene()
    await scene.ask(HEAD, chunk(b"a") + b"0\r\nx-sum: 7\r\n\r\n")
    assert await scene.connection.read() == b"a"
    assert await scene.connection.read() is None
    assert scene.connection.release()
