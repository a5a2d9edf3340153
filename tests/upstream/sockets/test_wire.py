"""Real connections: TLS, proxies, limits, and what a library would keep to itself."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.server import serve
from websockets.utils import accept_key

from app.domain.account import Secret
from app.upstream.auth_server import trust_store
from app.upstream.sockets.connection import Rejected, Target, Unreachable
from app.upstream.sockets.wire import Dialler
from loadtests.simulator.config import fast
from loadtests.simulator.server import Simulator
from loadtests.simulator.tls import make_certificates
from tests.fakes.peer import Link, Peer
from tests.upstream.sockets.rig import until

HEADERS = (("authorization", "Bearer at-secret"), ("originator", "codex2api"))


class Ear:
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.pongs = 0
        self.ends: list[tuple[int, str]] = []
        self.ended = asyncio.Event()

    def message(self, data: bytes) -> None:
        """Keep it."""
        self.messages.append(data)

    def pong(self) -> None:
        """Count it."""
        self.pongs += 1

    def lost(self, code: int, reason: str) -> None:
        """Keep it."""
        self.ends.append((code, reason))
        self.ended.set()


@asynccontextmanager
async def talking(handler, **options):
    """Open a connection to a handler of the library's own server."""
    async with serve(handler, "127.0.0.1", 0, **options) as server:
        port = server.sockets[0].getsockname()[1]
        dialler = Dialler(proxy_url=None, tls=trust_store(None))
        yield await dialler.dial(Target(f"ws://127.0.0.1:{port}/x", HEADERS, None))


async def test_what_comes_with_the_handshake_is_not_lost():
    """Nor what comes before anybody listens, nor the end."""

    async def handler(link) -> None:
        await link.send("one")
        await link.send("two")

    async with talking(handler) as connection:
        await asyncio.sleep(0.1)
        ear = Ear()
        connection.listen(ear)
        assert ear.messages == [b"one", b"two"]
        await ear.ended.wait()
        assert ear.ends == [(1000, "")]
        assert dict(connection.headers)["upgrade"] == "websocket"
        with pytest.raises(ConnectionError):
            await connection.send(b"x")
        connection.ping()
        connection.pause()
        connection.resume()
        connection.abort()


async def test_messages_travel_whole_in_both_directions():
    """As text; pings are answered by either side."""
    heard = []

    async def handler(link) -> None:
        async for message in link:
            heard.append(message)
            await link.ping()
            await link.send(message)

    async with talking(handler) as connection:
        ear = Ear()
        connection.listen(ear)
        await connection.send("ä".encode())
        connection.ping()
        await until(lambda: ear.messages and ear.pongs)
        assert heard == ["ä"]
        assert ear.messages == ["ä".encode()]
        await connection.close()
        assert ear.ends
        connection.abort()


async def test_a_connection_that_is_paused_reads_no_more():
    """The other side has to wait, and nothing is lost."""
    sent = 0

    async def handler(link) -> None:
        nonlocal sent
        for _ in range(400):
            await link.send("x" * 65_536)
            sent += 1

    async with talking(handler, write_limit=65_536) as connection:
        ear = Ear()
        connection.listen(ear)
        connection.pause()
        connection.pause()
        await asyncio.sleep(0.3)
        stalled_at = sent
        await asyncio.sleep(0.2)
        assert sent == stalled_at < 400
        connection.resume()
        connection.resume()
        await ear.ended.wait()
        assert len(ear.messages) == 400


async def test_a_peer_that_does_not_say_goodbye_is_left_after_a_second():
    """Closing never waits for ever."""
    over = asyncio.Event()

    async def script(link: Link) -> None:
        request = await link.request()
        [key] = request.values("sec-websocket-key")
        await link.send(_accept(key))
        await over.wait()

    async with Peer(script) as peer:
        dialler = Dialler(proxy_url=None, tls=trust_store(None))
        connection = await dialler.dial(Target(f"ws://127.0.0.1:{peer.port}/", HEADERS, None))
        ear = Ear()
        connection.listen(ear)
        async with asyncio.timeout(5):
            await connection.close()
            await ear.ended.wait()
        over.set()


async def test_a_peer_that_never_reads_holds_a_request_only_until_it_is_cancelled():
    """The relay's deadline is what cancels it."""
    over = asyncio.Event()

    async def script(link: Link) -> None:
        [key] = (await link.request()).values("sec-websocket-key")
        link.writer.transport.pause_reading()
        await link.send(_accept(key))
        await over.wait()

    async with Peer(script) as peer:
        dialler = Dialler(proxy_url=None, tls=trust_store(None))
        connection = await dialler.dial(Target(f"ws://127.0.0.1:{peer.port}/", HEADERS, None))
        ear = Ear()
        connection.listen(ear)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await connection.send(b"x" * (12 << 20))
        connection.ping()
        connection.abort()
        async with asyncio.timeout(5):
            await ear.ended.wait()
        over.set()


async def test_a_flood_of_pings_whose_answers_nobody_reads_ends_the_connection():
    """What is answered is kept until it is read, so there is a limit to it."""
    over = asyncio.Event()

    async def script(link: Link) -> None:
        [key] = (await link.request()).values("sec-websocket-key")
        link.writer.transport.pause_reading()
        await link.send(_accept(key))
        ping = b"\x89\x7d" + b"p" * 125
        while not over.is_set():
            link.writer.write(ping * 100)
            await link.writer.drain()

    async with Peer(script) as peer:
        dialler = Dialler(proxy_url=None, tls=trust_store(None))
        connection = await dialler.dial(Target(f"ws://127.0.0.1:{peer.port}/", HEADERS, None))
        ear = Ear()
        connection.listen(ear)
        async with asyncio.timeout(20):
            await ear.ended.wait()
        over.set()
        assert ear.ends == [(1006, "")]


async def test_tls_is_checked_against_the_private_authority(tmp_path):
    """And without it nothing is opened, and nothing was said."""
    files = make_certificates(tmp_path)
    config = fast(tls_cert=files.certificate, tls_key=files.key)
    async with Simulator(config) as simulator:
        url = "wss" + simulator.url.removeprefix("https") + "/backend-api/codex/responses"
        with pytest.raises(Unreachable, match="SSLCertVerificationError"):
            await Dialler(proxy_url=None, tls=trust_store(None)).dial(Target(url, HEADERS, None))
        trusting = Dialler(proxy_url=None, tls=trust_store(files.authority))
        with pytest.raises(Rejected) as caught:
            await trusting.dial(Target(url, HEADERS, None))
        assert caught.value.status == 401
        assert caught.value.body


@pytest.mark.parametrize("own", [True, False])
async def test_a_proxy_is_used_and_its_password_shown_to_nobody_else(own):
    """The account's own, or that of all."""

    async def script(link: Link) -> None:
        await link.request()
        await link.send(b"HTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\n")

    async with Peer(script) as proxy:
        way = Secret(f"http://user:pass@127.0.0.1:{proxy.port}")
        dialler = Dialler(proxy_url=None if own else way, tls=trust_store(None))
        assert dialler.reaches(way)
        with pytest.raises(Unreachable) as caught:
            await dialler.dial(Target("ws://up.test/x", HEADERS, way if own else None))
        assert "pass" not in str(caught.value)
        [request] = proxy.requests
        assert request.line == "CONNECT up.test:80 HTTP/1.1"
        assert not request.values("authorization")


def test_a_way_that_can_not_be_taken_is_known_before():
    """Such a call takes HTTP."""
    dialler = Dialler(proxy_url=Secret("socks4://127.0.0.1:1"), tls=trust_store(None))
    assert not dialler.reaches(None)
    assert dialler.reaches(Secret("HTTPS://proxy"))


async def test_a_socks_proxy_is_used():
    """The name is resolved where the connection comes out, if the operator says so."""
    asked = bytearray()

    async def script(link: Link) -> None:
        asked.extend(await link.reader.readexactly(3))
        await link.send(b"\x05\x00")
        asked.extend(await link.reader.readexactly(4 + 1 + len("up.test") + 2))
        await link.send(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
        await link.request()
        await link.send(b"HTTP/1.1 401 No\r\ncontent-length: 2\r\n\r\n{}")

    async with Peer(script) as proxy:
        dialler = Dialler(proxy_url=None, tls=trust_store(None))
        way = Secret(f"socks5h://127.0.0.1:{proxy.port}")
        with pytest.raises(Rejected) as caught:
            await dialler.dial(Target("ws://up.test/x", HEADERS, way))
        assert (caught.value.status, caught.value.body) == (401, b"{}")
        assert b"up.test" in asked


@pytest.mark.parametrize("answer", [b"\x05\xff", b"", b"HTTP/1.1 400 No\r\n\r\n"])
async def test_a_socks_proxy_that_refuses_opens_nothing(answer):
    """And its password is in no message."""

    async def script(link: Link) -> None:
        await link.reader.readexactly(3)
        await link.send(answer)

    async with Peer(script) as proxy:
        way = Secret(f"socks5h://user:pass@127.0.0.1:{proxy.port}")
        dialler = Dialler(proxy_url=None, tls=trust_store(None))
        with pytest.raises(Unreachable) as caught:
            await dialler.dial(Target("ws://up.test/x", HEADERS, way))
        assert "pass" not in str(caught.value)


async def test_no_redirect_is_followed():
    """The credential goes where it was meant to go."""

    async def script(link: Link) -> None:
        await link.request()
        await link.send(
            b"HTTP/1.1 307 No\r\nlocation: ws://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
        )

    async with Peer(script) as peer:
        dialler = Dialler(proxy_url=None, tls=trust_store(None))
        with pytest.raises(Rejected) as caught:
            await dialler.dial(Target(f"ws://127.0.0.1:{peer.port}/", HEADERS, None))
        assert caught.value.status == 307
        assert len(peer.requests) == 1
        assert not peer.requests[0].values("user-agent")
        assert not peer.requests[0].values("sec-websocket-extensions")


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 101 Yes\r\n\r\n", b"nonsense\r\n\r\n"])
async def test_an_answer_that_is_none_opens_nothing(answer):
    """It is no reply either."""

    async def script(link: Link) -> None:
        await link.request()
        await link.send(answer)

    async with Peer(script) as peer:
        dialler = Dialler(proxy_url=None, tls=trust_store(None))
        with pytest.raises(Unreachable):
            await dialler.dial(Target(f"ws://127.0.0.1:{peer.port}/", HEADERS, None))


def _accept(key: str) -> bytes:
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
        b"sec-websocket-accept: " + accept_key(key).encode() + b"\r\n\r\n"
    )
