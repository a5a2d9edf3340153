"""The acceptance test of the data path's HTTP client, over real sockets and byte by byte."""

import asyncio
from base64 import b64encode
from pathlib import Path

import pytest
import uvloop

from app.domain.account import Secret
from app.ports import UpstreamFailure, UpstreamReply
from app.upstream import http
from app.upstream.addresses import Pin
from app.upstream.http import HttpClient
from loadtests.simulator.tls import make_certificates, server_context
from tests.fakes.peer import Link, Peer, Script

HEADERS = [("user-agent", "codex2api/1"), ("content-type", "application/json")]
EVENT = b'event: response.created\ndata: {"pad":"' + b"x" * 600 + b'"}\n\n'
"""As long as a real first event, which is longer than what the client reads ahead."""
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
CHUNKED = STREAM + b"transfer-encoding: chunked\r\n\r\n"
SOON_S = 1.0
"""What must happen at once has happened by then, on a busy machine too."""


def chunk(data: bytes) -> bytes:
    """Return the data as one chunk of a body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


@pytest.fixture
async def client():
    """A client without a proxy and with the system's trust."""
    async with HttpClient(proxy_url=None, ca_file=None) as opened:
        yield opened


async def post(client: HttpClient, url: str, proxy_url: str | None = None) -> UpstreamReply:
    """Send the usual request."""
    proxy = Secret(proxy_url) if proxy_url else None
    return await client.post(url, headers=HEADERS, body=b'{"a":1}', proxy_url=proxy)


async def whole(reply: UpstreamReply) -> bytes:
    """Read a reply to its end."""
    body = b""
    while (piece := await reply.read()) is not None:
        body += piece
    return body


def answering(*pieces: bytes, requests: int = 1) -> Script:
    """Return a script that answers so many requests of a connection with these bytes."""

    async def script(link: Link) -> None:
        for _ in range(requests):
            await link.request()
            await link.send(*pieces)

    return script


async def test_a_request_carries_what_it_was_given_and_nothing_of_the_library(client):
    """No user agent, no compression and no cookie of its own; names in lower case."""
    async with Peer(answering(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")) as peer:
        assert await whole(await post(client, peer.url)) == b"ok"
    [request] = peer.requests
    assert request.line == "POST /codex/responses HTTP/1.1"
    assert request.body == b'{"a":1}'
    assert sorted(request.headers) == [
        ("accept", "*/*"),
        ("content-length", "7"),
        ("content-type", "application/json"),
        ("host", f"127.0.0.1:{peer.port}"),
        ("user-agent", "codex2api/1"),
    ]


async def test_events_arrive_as_they_are_sent(client):
    """Nothing waits for more bytes, and head and status are there with the first."""
    more = asyncio.Event()

    async def script(link: Link) -> None:
        await link.request()
        await link.send(CHUNKED, chunk(EVENT))
        await more.wait()
        await link.send(chunk(b"data: 2\n\n"), b"0\r\n\r\n")

    async with Peer(script) as peer:
        reply = await post(client, peer.url)
        assert reply.status == 200
        assert dict(reply.headers)["content-type"] == "text/event-stream"
        assert await reply.read() == EVENT
        more.set()
        assert await whole(reply) == b"data: 2\n\n"
        await reply.finish()


async def test_interim_replies_are_passed_over(client):
    """A storm of 1xx is no answer."""
    interim = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 50
    last = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
    async with Peer(answering(interim, last)) as peer:
        reply = await post(client, peer.url)
        assert (reply.status, await whole(reply)) == (200, b"ok")


@pytest.mark.parametrize(
    "fields",
    [
        b"x-long: " + b"a" * 20_000 + b"\r\n",
        b"".join(b"x-%d: v\r\n" % n for n in range(90)),
        b"content-type: a\r\ncontent-type: b\r\n",
        b"x-latin: caf\xe9\r\n",
    ],
    ids=["20 KB line", "90 fields", "twice", "latin-1"],
)
async def test_unusual_headers_are_read(client, fields):
    """What a hostile or careless upstream may send within reason is no failure."""
    async with Peer(answering(STREAM + fields + b"content-length: 2\r\n\r\nok")) as peer:
        reply = await post(client, peer.url)
        assert (reply.status, await whole(reply)) == (200, b"ok")


@pytest.mark.parametrize(
    "head",
    [
        STREAM + b"".join(b"x-%d: v\r\n" % n for n in range(3_000)) + b"\r\n",
        STREAM + b"no colon\r\n\r\n",
        STREAM + b"content-length: 2\r\ncontent-length: 3\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"<html>",
    ],
    ids=["3,000 fields", "no colon", "two lengths", "ssh", "html"],
)
async def test_what_is_no_http_is_a_failure(client, head):
    """The request may have been received, so it counts as sent."""
    async with Peer(answering(head)) as peer:
        with pytest.raises(UpstreamFailure) as caught:
            await whole(await post(client, peer.url))
    assert caught.value.sent


async def test_a_compressed_body_stays_as_it_came(client):
    """We asked for none; what it is, is for the relay to judge, and no bomb unfolds."""
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\n"
    async with Peer(answering(head + b"\x1f\x8b\x08")) as peer:
        reply = await post(client, peer.url)
        assert ("content-encoding", "gzip") in reply.headers
        assert await whole(reply) == b"\x1f\x8b\x08"


async def test_a_redirect_is_an_answer_like_any_other(client):
    """The credential goes nowhere else."""
    async with Peer(answering(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")) as other:
        found = b"HTTP/1.1 307 Go\r\nlocation: %b\r\ncontent-length: 0\r\n\r\n"
        async with Peer(answering(found % other.url.encode())) as peer:
            assert (await post(client, peer.url)).status == 307
    assert other.requests == []


async def test_a_cookie_is_never_sent_back(client):
    """One account's cookie would go with another one's request."""
    head = b"HTTP/1.1 200 OK\r\nset-cookie: a=b; Path=/\r\ncontent-length: 0\r\n\r\n"
    async with Peer(answering(head, requests=2)) as peer:
        for _ in range(2):
            assert await whole(await post(client, peer.url)) == b""
    assert [request.values("cookie") for request in peer.requests] == [[], []]


@pytest.mark.parametrize("value", ["a\r\nb", "a\nb", "a\0b"])
async def test_a_header_that_can_not_be_sent_is_a_failure(client, value):
    """Nothing was sent, and no exception of the library crosses the border."""
    with pytest.raises(UpstreamFailure) as caught:
        await client.post("http://127.0.0.1:1/", headers=[("x-a", value)], body=b"", proxy_url=None)
    assert not caught.value.sent


TRUNCATED = {
    "FIN in a length": STREAM + b"content-length: 5000\r\n\r\n" + EVENT,
    "FIN between chunks": CHUNKED + chunk(EVENT),
    "FIN in a chunk": CHUNKED + chunk(EVENT) + b"ff\r\nhalf",
    "bad chunk size": CHUNKED + chunk(EVENT) + b"zz\r\n",
    "no end of the last chunk": CHUNKED + chunk(EVENT) + b"0\r\n",
}


@pytest.mark.parametrize("wire", TRUNCATED.values(), ids=TRUNCATED)
async def test_a_cut_body_is_a_failure_after_what_came(client, wire):
    """A body that was cut is never taken for a whole one, and what had come is not lost."""
    async with Peer(answering(wire)) as peer:
        reply = await post(client, peer.url)
        seen = await reply.read()
        with pytest.raises(UpstreamFailure) as caught:
            await whole(reply)
        await reply.abort()
    assert seen.startswith(EVENT)
    assert caught.value.sent


@pytest.mark.parametrize("begin", [[CHUNKED], [CHUNKED, chunk(EVENT)]], ids=["small", "large"])
@pytest.mark.parametrize("reset", [True, False])
async def test_small_events_before_a_cut_are_not_lost(client, begin, reset):
    """Though the client reads ahead: what it has read before the cut comes out before it."""

    async def script(link: Link) -> None:
        await link.request()
        await link.send(*begin, *[chunk(b"data: %d\n\n" % n) for n in range(3)])
        if reset:
            link.reset()

    async with Peer(script) as peer:
        reply = await post(client, peer.url)
        seen = b""
        for _ in range(2 + len(begin)):
            seen += await reply.read()
        with pytest.raises(UpstreamFailure):
            await whole(reply)
        await reply.abort()
    assert seen.endswith(b"data: 0\n\ndata: 1\n\ndata: 2\n\n")


async def test_a_reset_is_a_failure_after_what_came(client):
    """As a cut is."""

    async def script(link: Link) -> None:
        await link.request()
        await link.send(CHUNKED, chunk(EVENT))
        await asyncio.sleep(0.05)
        link.reset()

    async with Peer(script) as peer:
        reply = await post(client, peer.url)
        assert await reply.read() == EVENT
        with pytest.raises(UpstreamFailure):
            await whole(reply)
        await reply.abort()


@pytest.mark.parametrize("at", range(0, len(EVENT) + 12, 60))
async def test_a_cut_anywhere_is_no_proper_end(client, at):
    """Wherever the upstream stops, the reader hears of it."""
    wire = CHUNKED + (chunk(EVENT) + b"0\r\n\r\n")[:at]
    async with Peer(answering(wire)) as peer:
        with pytest.raises(UpstreamFailure):
            await whole(await post(client, peer.url))


async def test_a_body_that_lasts_until_the_connection_ends_is_whole(client):
    """Close-delimited bodies are HTTP too; whether it was all is for the relay to know."""
    async with Peer(answering(STREAM + b"connection: close\r\n\r\n" + EVENT)) as peer:
        assert await whole(await post(client, peer.url)) == EVENT


@pytest.mark.parametrize("read_to_the_end", [True, False])
async def test_a_finished_reply_leaves_its_connection_to_the_next(client, read_to_the_end):
    """Also if only the terminal event was read and the body's end comes just after it."""
    wire = CHUNKED + chunk(EVENT) + b"0\r\n\r\n"
    async with Peer(answering(wire, requests=3)) as peer:
        for _ in range(3):
            reply = await post(client, peer.url)
            assert await reply.read() == EVENT
            if read_to_the_end:
                assert await reply.read() is None
            await reply.finish()
    assert len(peer.links) == 1


async def test_a_body_that_does_not_end_soon_is_let_go_of(client, monkeypatch):
    """Finishing waits for the end of a body, but not for long."""
    monkeypatch.setattr(http, "END_WAIT_S", 0.05)

    async def script(link: Link) -> None:
        await link.request()
        await link.send(CHUNKED, chunk(EVENT))
        await link.wait_until_gone()

    async with Peer(script) as peer:
        reply = await post(client, peer.url)
        assert await reply.read() == EVENT
        await reply.finish()
        await asyncio.wait_for(peer.links[0].gone.wait(), SOON_S)


async def test_a_body_that_breaks_while_it_is_finished_is_let_go_of(client):
    """Its last word has been heard; nothing more is owed."""
    async with Peer(answering(TRUNCATED["FIN between chunks"])) as peer:
        reply = await post(client, peer.url)
        assert await reply.read() == EVENT
        await reply.finish()


async def test_surplus_bytes_never_reach_the_next_request(client):
    """Whoever sends more than one response to one request loses the connection."""
    smuggled = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nstolen"
    wire = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

    async def script(link: Link) -> None:
        await link.request()
        await link.send(wire + smuggled)
        await link.request()
        await link.send(wire)

    async with Peer(script) as peer:
        for _ in range(4):
            reply = await post(client, peer.url)
            assert await whole(reply) == b"ok"
            await reply.finish()
            await asyncio.sleep(0.02)
    assert len(peer.links) == 4


async def test_letting_go_in_the_middle_closes_the_connection_at_once(client):
    """The account's quota is not spent on words that nobody hears."""

    async def script(link: Link) -> None:
        await link.request()
        await link.send(CHUNKED, chunk(EVENT))
        await link.wait_until_gone()

    async with Peer(script) as peer:
        reply = await post(client, peer.url)
        assert await reply.read() == EVENT
        await reply.abort()
        await asyncio.wait_for(peer.links[0].gone.wait(), SOON_S)


async def test_a_reader_that_is_cancelled_can_let_go(client):
    """A caller leaves while its call waits for the next event."""

    async def script(link: Link) -> None:
        await link.request()
        await link.send(CHUNKED, chunk(EVENT))
        await link.wait_until_gone()

    async with Peer(script) as peer:
        reply = await post(client, peer.url)
        assert await reply.read() == EVENT
        waiting = asyncio.create_task(reply.read())
        await asyncio.sleep(0.02)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await reply.abort()
        await asyncio.wait_for(peer.links[0].gone.wait(), SOON_S)


async def test_an_upstream_waits_for_a_slow_reader(client):
    """What is not read stays in the kernel's buffers: the client holds next to nothing."""
    sent = 0

    async def script(link: Link) -> None:
        nonlocal sent
        await link.request()
        await link.send(STREAM + b"connection: close\r\n\r\n")
        link.writer.transport.set_write_buffer_limits(high=0)
        while True:
            link.writer.write(bytes(65_536))
            await link.writer.drain()
            sent += 65_536

    async with Peer(script) as peer:
        reply = await post(client, peer.url)
        await reply.read()
        before = -1
        while sent != before:
            before = sent
            await asyncio.sleep(0.1)
        assert sent < 16 << 20
        await reply.read()
        await reply.abort()


@pytest.mark.parametrize("answered", [True, False])
async def test_a_request_cancelled_before_its_head_is_closed_at_once(client, answered):
    """Whether or not the upstream has begun to answer."""

    async def script(link: Link) -> None:
        await link.request()
        if answered:
            await link.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
        await link.wait_until_gone()

    async with Peer(script) as peer:
        task = asyncio.create_task(post(client, peer.url))
        while not peer.requests:  # noqa: ASYNC110 - a script has no event for it
            await asyncio.sleep(0.005)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.wait_for(peer.links[0].gone.wait(), SOON_S)
        assert client.late == 0


async def failure(client: HttpClient, url: str, proxy_url: str | None = None) -> tuple[bool, bool]:
    """Return `sent` and `route` of the failure that the request is."""
    with pytest.raises(UpstreamFailure) as caught:
        await post(client, url, proxy_url)
    return caught.value.sent, caught.value.route


async def test_a_refused_connection_was_never_sent(client):
    """Nobody listens: the route is at fault."""
    async with Peer(answering(b"")) as peer:
        pass
    assert await failure(client, peer.url) == (False, True)


async def test_a_pinned_name_is_not_looked_up(client):
    """The connection goes where the name was judged to lead; the upstream sees the name."""
    async with Peer(answering(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")) as peer:
        url, pin = f"http://up.invalid:{peer.port}/x", Pin("up.invalid", "127.0.0.1", peer.port)
        reply = await client.post(url, headers=[], body=b"", proxy_url=None, pin=pin)
        assert await whole(reply) == b"ok"
        await reply.finish()
    assert peer.requests[0].values("host") == [f"up.invalid:{peer.port}"]


@pytest.mark.parametrize("url", ["http://other.invalid:1/", "http://up.invalid:2/"])
async def test_a_pin_is_for_one_name_and_port(client, url):
    """For any other it says nothing."""
    pin = Pin("up.invalid", "127.0.0.1", 1)
    with pytest.raises(UpstreamFailure) as caught:
        await client.post(url, headers=[], body=b"", proxy_url=None, pin=pin)
    assert not caught.value.sent


async def test_an_unknown_host_was_never_sent(client):
    """The name leads nowhere."""
    assert await failure(client, "http://nowhere.invalid/") == (False, True)


@pytest.mark.parametrize("url", ["", "ftp://127.0.0.1/", "http://", "http://127.0.0.1:99999/"])
async def test_a_url_that_is_none_was_never_sent(client, url):
    """A setting is wrong: no exception of the library crosses the border."""
    assert await failure(client, url) == (False, True)


async def test_a_connection_that_closes_without_an_answer_may_have_been_sent(client):
    """The upstream may have begun to work on it."""
    async with Peer(answering()) as peer:
        assert await failure(client, peer.url) == (True, False)


async def test_a_reused_connection_that_closes_under_a_request_may_have_been_sent(client):
    """The library calls it a connect error, but it is none."""
    whole_reply = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

    async def script(link: Link) -> None:
        await link.request()
        await link.send(whole_reply)
        await link.request()
        link.reset()

    async with Peer(script) as peer:
        reply = await post(client, peer.url)
        assert await whole(reply) == b"ok"
        await reply.finish()
        assert await failure(client, peer.url) == (True, False)
        assert len(peer.requests) == 2


class Proxy:
    """A proxy for HTTP, CONNECT and SOCKS5 that notes what it was asked for."""

    def __init__(self, *, socks: bool = False) -> None:
        self.socks = socks
        self.asked: list[tuple[str, str]] = []
        """Target and credentials of every connection."""

    async def __call__(self, link: Link) -> None:
        """Serve one connection."""
        if self.socks:
            host, port = await self._greet(link)
        else:
            head = await link.reader.readuntil(b"\r\n\r\n")
            line, *fields = head.decode().split("\r\n")
            method, target, _ = line.split(" ")
            told = [f.split(" ")[-1] for f in fields if f.lower().startswith("proxy-auth")]
            self.asked.append((f"{method} {target}", told[0] if told else ""))
            if method != "CONNECT":
                await link.send(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nproxy")
                return
            host, port = target.split(":")
            await link.send(b"HTTP/1.1 200 OK\r\n\r\n")
        reader, writer = await asyncio.open_connection(host, int(port))
        await asyncio.gather(pipe(link.reader, writer), pipe(reader, link.writer))

    async def _greet(self, link: Link) -> tuple[str, int]:
        reader = link.reader
        methods = (await reader.readexactly(2))[1]
        offered = await reader.readexactly(methods)
        credentials = ""
        if 2 in offered:
            await link.send(b"\x05\x02")
            user = await reader.readexactly((await reader.readexactly(2))[1])
            password = await reader.readexactly((await reader.readexactly(1))[0])
            credentials = f"{user.decode()}:{password.decode()}"
            await link.send(b"\x01\x00")
        else:
            await link.send(b"\x05\x00")
        kind = (await reader.readexactly(4))[3]
        raw = await reader.readexactly(4 if kind == 1 else (await reader.readexactly(1))[0])
        host = ".".join(map(str, raw)) if kind == 1 else raw.decode()
        port = int.from_bytes(await reader.readexactly(2))
        self.asked.append((f"{host}:{port}", credentials))
        await link.send(b"\x05\x00\x00\x01\0\0\0\0\0\0")
        return host, port


async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry bytes one way until they end."""
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """A private authority and a server certificate of its."""
    return make_certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def trusting(certificates):
    """A client that trusts the private authority."""
    ca_file = Path(certificates.authority)
    async with HttpClient(proxy_url=None, ca_file=ca_file) as opened:
        yield opened


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@pytest.mark.parametrize("credentials", ["", "me:p%40ss@"])
async def test_an_http_proxy_is_asked_for_a_plain_url(client, credentials):
    """With the credentials that its URL names, decoded."""
    proxy = Proxy()
    async with Peer(proxy) as between:
        reply = await post(
            client, "http://up.test/x", f"http://{credentials}127.0.0.1:{between.port}"
        )
        assert await whole(reply) == b"proxy"
    told = b64encode(b"me:p@ss").decode() if credentials else ""
    assert proxy.asked == [("POST http://up.test/x", told)]


@pytest.mark.parametrize("credentials", ["", "me:p%40ss@"])
async def test_an_http_proxy_opens_a_tunnel_for_a_secure_url(trusting, certificates, credentials):
    """It sees where to, and nothing else."""
    proxy = Proxy()
    tls = server_context(certificates.certificate, certificates.key)
    async with Peer(answering(OK), tls=tls) as peer, Peer(proxy) as between:
        reply = await post(trusting, peer.url, f"http://{credentials}127.0.0.1:{between.port}")
        assert await whole(reply) == b"ok"
        await reply.finish()
    told = b64encode(b"me:p@ss").decode() if credentials else ""
    assert proxy.asked == [(f"CONNECT 127.0.0.1:{peer.port}", told)]
    assert peer.requests[0].values("proxy-authorization") == []


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
@pytest.mark.parametrize("credentials", ["", "me:secret@"])
async def test_a_socks_proxy_carries_requests(client, scheme, credentials):
    """With and without credentials, with and without resolving names itself."""
    proxy = Proxy(socks=True)
    async with Peer(answering(OK)) as peer, Peer(proxy) as between:
        reply = await post(client, peer.url, f"{scheme}://{credentials}127.0.0.1:{between.port}")
        assert await whole(reply) == b"ok"
        await reply.finish()
    assert proxy.asked == [(f"127.0.0.1:{peer.port}", credentials.rstrip("@"))]


@pytest.mark.parametrize("scheme", ["http", "socks5", "socks5h"])
async def test_a_dead_proxy_never_leads_to_a_direct_connection(client, scheme):
    """Who configured a proxy does not want to be seen without it."""
    async with Peer(answering(OK)) as dead:
        pass
    async with Peer(answering(OK)) as peer:
        assert await failure(client, peer.url, f"{scheme}://127.0.0.1:{dead.port}") == (False, True)
    assert peer.links == []


async def test_a_proxy_that_refuses_never_leads_to_a_direct_connection(trusting, certificates):
    """Not even when it says so in so many words; the call was never sent."""
    refusing = answering(b"HTTP/1.1 407 No\r\ncontent-length: 0\r\n\r\n")
    tls = server_context(certificates.certificate, certificates.key)
    async with Peer(answering(OK), tls=tls) as peer, Peer(refusing) as between:
        at = f"http://127.0.0.1:{between.port}"
        assert await failure(trusting, peer.url, at) == (False, True)
    assert peer.links == []


async def test_a_proxy_for_all_is_used_unless_the_account_has_its_own():
    """The account's own goes first."""
    for_all, own = Proxy(), Proxy()
    async with Peer(for_all) as first, Peer(own) as second:
        url = Secret(f"http://127.0.0.1:{first.port}")
        async with HttpClient(proxy_url=url, ca_file=None) as opened:
            await whole(await post(opened, "http://up.test/1"))
            await whole(await post(opened, "http://up.test/2", f"http://127.0.0.1:{second.port}"))
    assert [target for target, _ in for_all.asked] == ["POST http://up.test/1"]
    assert [target for target, _ in own.asked] == ["POST http://up.test/2"]


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "ALL_PROXY", "https_proxy"])
async def test_the_environments_proxy_is_not_used(monkeypatch, name):
    """What a call does is written in the gateway's settings and nowhere else."""
    proxy = Proxy()
    async with Peer(answering(OK)) as peer, Peer(proxy) as between:
        monkeypatch.setenv(name, f"http://127.0.0.1:{between.port}")
        async with HttpClient(proxy_url=None, ca_file=None) as opened:
            assert await whole(await post(opened, peer.url)) == b"ok"
    assert proxy.asked == []


@pytest.mark.parametrize("proxy_url", ["nonsense", "gopher://127.0.0.1:1", "http://"])
async def test_a_proxy_url_that_is_none_is_a_failure_of_the_route(client, proxy_url):
    """And nothing goes out without it."""
    async with Peer(answering(OK)) as peer:
        assert await failure(client, peer.url, proxy_url) == (False, True)
    assert peer.links == []


async def test_a_private_authority_is_trusted_if_it_was_named(trusting, certificates):
    """For upstreams and proxies with certificates of one's own."""
    tls = server_context(certificates.certificate, certificates.key)
    async with Peer(answering(OK), tls=tls) as peer:
        assert await whole(await post(trusting, peer.url)) == b"ok"


async def test_an_unknown_authority_is_refused(client, certificates):
    """The request was never sent."""
    tls = server_context(certificates.certificate, certificates.key)
    async with Peer(answering(OK), tls=tls) as peer:
        assert await failure(client, peer.url) == (False, True)
    assert peer.requests == []


@pytest.mark.parametrize("fault", [{"expired": True}, {"name": "other.test"}], ids=["old", "other"])
async def test_a_certificate_of_the_wrong_time_or_name_is_refused(tmp_path, fault):
    """Though its authority is trusted."""
    files = make_certificates(tmp_path, **fault)
    tls = server_context(files.certificate, files.key)
    async with (
        Peer(answering(OK), tls=tls) as peer,
        HttpClient(proxy_url=None, ca_file=Path(files.authority)) as opened,
    ):
        assert await failure(opened, peer.url) == (False, True)
    assert peer.requests == []


def test_the_gateways_own_loop_does_the_same(certificates):
    """It is another program: over TLS, kept, held back, cut and let go of."""

    async def scenes() -> None:
        tls = server_context(certificates.certificate, certificates.key)
        wire = CHUNKED + chunk(EVENT) + b"0\r\n\r\n"

        async def script(link: Link) -> None:
            for _ in range(2):
                await link.request()
                await link.send(wire)
            await link.request()
            await link.send(CHUNKED + chunk(EVENT))
            await link.wait_until_gone()

        async with (
            Peer(script, tls=tls) as peer,
            HttpClient(proxy_url=None, ca_file=Path(certificates.authority)) as client,
        ):
            for _ in range(2):
                reply = await post(client, peer.url)
                assert await whole(reply) == EVENT
                await reply.finish()
            reply = await post(client, peer.url)
            assert await reply.read() == EVENT
            await reply.abort()
            await asyncio.wait_for(peer.links[0].gone.wait(), SOON_S)
            assert len(peer.links) == 1
        async with HttpClient(proxy_url=None, ca_file=None) as client:
            async with Peer(answering(CHUNKED + chunk(EVENT))) as peer:
                with pytest.raises(UpstreamFailure):
                    await whole(await post(client, peer.url))
            assert await failure(client, peer.url) == (False, True)

    uvloop.run(scenes())
