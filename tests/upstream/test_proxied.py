"""The way through a proxy, over real sockets; what proxies are asked for is in `test_http`."""

import asyncio

import pytest

from app.domain.account import Secret
from app.ports import UpstreamFailure
from app.upstream import proxied
from app.upstream.proxied import ProxiedClient, ProxiedReply
from tests.fakes.peer import Link, Peer

HEADERS = [("user-agent", "codex2api/1"), ("content-type", "application/json")]
EVENT = b'event: response.created\ndata: {"pad":"' + b"x" * 600 + b'"}\n\n'
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
SOON_S = 1.0
"""What must happen at once has happened by then, on a busy machine too."""


def chunk(data: bytes) -> bytes:
    """Return the data as one chunk of a body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


@pytest.fixture
async def client():
    """A client with the system's trust."""
    opened = ProxiedClient(ca_file=None)
    yield opened
    await opened.close()


async def post(client: ProxiedClient, peer: Peer) -> ProxiedReply:
    """Send the usual request through a peer that answers in the place of a proxy."""
    proxy = Secret(f"http://127.0.0.1:{peer.port}")
    return await client.post("http://up.test/x", headers=HEADERS, body=b'{"a":1}', proxy_url=proxy)


async def whole(reply: ProxiedReply) -> bytes:
    """Read a reply to its end."""
    body = b""
    while (piece := await reply.read()) is not None:
        body += piece
    return body


async def abandoned(client: ProxiedClient, peer: Peer) -> None:
    """Send a request and give it up before its head has come."""
    count = len(peer.requests)
    task = asyncio.create_task(post(client, peer))
    while len(peer.requests) == count:  # noqa: ASYNC110 - a script has no event for it
        await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_request_cancelled_before_its_head_is_closed_when_the_head_comes(client):
    """The library can't do it sooner; until then the request counts as late."""
    answer = asyncio.Event()

    async def script(link: Link) -> None:
        await link.request()
        await answer.wait()
        await link.send(CHUNKED, chunk(EVENT))
        await link.wait_until_gone()

    async with Peer(script) as peer:
        await abandoned(client, peer)
        assert client.late == 1
        answer.set()
        await asyncio.wait_for(peer.links[0].gone.wait(), SOON_S)
        assert client.late == 0


async def test_a_late_request_ends_with_the_longest_silence(client, monkeypatch):
    """Even if its head never comes."""
    monkeypatch.setattr(proxied, "SILENCE_MARGIN_S", 0.0)
    client.expect_silence(0.1)

    async def script(link: Link) -> None:
        await link.request()
        await link.wait_until_gone()

    async with Peer(script) as peer:
        await abandoned(client, peer)
        await asyncio.wait_for(peer.links[0].gone.wait(), SOON_S)
        await asyncio.sleep(0.01)
        assert client.late == 0


async def test_late_requests_are_bounded(client, monkeypatch):
    """Beyond the bound nothing is sent, and that is nobody's fault but the route's."""
    monkeypatch.setattr(proxied, "LATE_MAX", 2)

    async def script(link: Link) -> None:
        await link.request()
        await link.wait_until_gone()

    async with Peer(script) as peer:
        for _ in range(2):
            await abandoned(client, peer)
        with pytest.raises(UpstreamFailure) as caught:
            await post(client, peer)
        assert (caught.value.sent, caught.value.route) == (False, True)
        assert len(peer.requests) == 2


async def test_closing_forgets_late_requests():
    """A gateway that goes away waits for none of them."""

    async def script(link: Link) -> None:
        await link.request()
        await link.wait_until_gone()

    async with Peer(script) as peer:
        client = ProxiedClient(ca_file=None)
        await abandoned(client, peer)
        await client.close()
        assert client.late == 0


async def test_a_longer_silence_leaves_replies_under_way_alone(client):
    """A new setting builds new connections and cuts no old one."""
    more = asyncio.Event()

    async def script(link: Link) -> None:
        await link.request()
        await link.send(CHUNKED, chunk(EVENT))
        await more.wait()
        await link.send(chunk(EVENT), b"0\r\n\r\n")

    async with Peer(script) as peer:
        reply = await post(client, peer)
        assert await reply.read() == EVENT
        client.expect_silence(60.0)
        client.expect_silence(60.0)
        more.set()
        assert await whole(reply) == EVENT


async def test_clients_are_bounded(client, monkeypatch):
    """To make room for another proxy, the first is let go of; its replies end well."""
    monkeypatch.setattr(proxied, "CLIENTS_MAX", 2)

    async def script(link: Link) -> None:
        await link.request()
        await link.send(OK)

    async with Peer(script) as first, Peer(script) as second, Peer(script) as third:
        replies = [await post(client, peer) for peer in (first, second, third, first)]
        assert [await whole(reply) for reply in replies] == [b"ok"] * 4
    assert len(client._clients) == 2


async def test_a_late_finish_keeps_the_connection_for_the_next(client):
    """Also if only the terminal event was read and the body's end comes just after it."""

    async def script(link: Link) -> None:
        for _ in range(3):
            await link.request()
            await link.send(CHUNKED + chunk(EVENT) + b"0\r\n\r\n")

    async with Peer(script) as peer:
        for _ in range(3):
            reply = await post(client, peer)
            assert await reply.read() == EVENT
            await reply.finish()
    assert len(peer.links) == 1


@pytest.mark.parametrize("wire", [chunk(EVENT), chunk(EVENT) + b"ff\r\nhalf"])
async def test_a_cut_body_is_a_failure_after_what_came(client, wire):
    """A body that was cut is never taken for a whole one."""

    async def script(link: Link) -> None:
        await link.request()
        await link.send(CHUNKED + wire)

    async with Peer(script) as peer:
        reply = await post(client, peer)
        assert await reply.read() == EVENT
        with pytest.raises(UpstreamFailure):
            await whole(reply)
        await reply.abort()


async def test_a_reused_connection_that_closes_under_a_request_may_have_been_sent(client):
    """The library calls it a connect error, but it is none."""

    async def script(link: Link) -> None:
        await link.request()
        await link.send(OK)
        await link.request()
        link.reset()

    async with Peer(script) as peer:
        reply = await post(client, peer)
        assert await whole(reply) == b"ok"
        await reply.finish()
        with pytest.raises(UpstreamFailure) as caught:
            await post(client, peer)
    assert (caught.value.sent, caught.value.route) == (True, False)
