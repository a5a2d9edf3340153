"""The data path's HTTP/1.1 client: connections to upstreams, kept for the next request.

It keeps no cookies, follows no redirect, asks for no compression and reads no proxy from the
environment: with a proxy configured there is no direct connection, ever (`app.upstream.proxied`).
How long a reply may take is the relay's business. Cancelling closes the connection, whatever it is
that is waited for.
"""

import asyncio
from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

from msgspec import Struct

from app.domain.account import Secret
from app.ports import UpstreamFailure, UpstreamReply
from app.upstream.addresses import Pin
from app.upstream.auth_server import trust_store
from app.upstream.connection import Connection
from app.upstream.dialling import dial
from app.upstream.tls import Tls

if TYPE_CHECKING:
    from app.upstream.proxied import ProxiedClient

CONNECT_TIMEOUT_S: Final = 10.0
"""For all that comes before a request: name, connection, TLS."""
IDLE_CONNECTION_S: Final = 30.0
IDLE_CONNECTIONS_MAX: Final = 512
"""To one place."""
END_WAIT_S: Final = 0.25
"""How long the end of a body that has said its last word is waited for, to keep its connection."""
PORTS: Final = {"http": 80, "https": 443}

Headers = Sequence[tuple[str, str]]


class Place(Struct, frozen=True):
    """Where a connection leads."""

    secure: bool
    host: str
    port: int
    address: str | None = None
    """Where its name is known to lead, if that was judged; no connection goes elsewhere then."""


class HttpReply:
    """One reply over HTTP; see `app.ports.UpstreamReply`."""

    __slots__ = ("_client", "_place", "feed", "headers", "read", "status")

    messages = False
    retold = None

    def __init__(
        self, client: "HttpClient", place: Place, connection: Connection, headers: Headers
    ) -> None:
        self._client = client
        self._place = place
        self.feed = connection
        self.read = connection.read
        self.status = connection.status
        self.headers: Headers = headers

    async def finish(self) -> None:
        """Let go; a body that ends at once leaves its connection to the next request."""
        if not self.feed.whole:
            try:
                async with asyncio.timeout(END_WAIT_S):
                    while await self.read() is not None:
                        pass
            except (UpstreamFailure, TimeoutError):
                pass
        await self.abort()

    async def abort(self) -> None:
        """Let go now; the upstream sees the connection close if the body had not ended."""
        self._client.keep(self._place, self.feed)


class HttpClient:
    """Connections to upstreams. Close it when nothing is in flight."""

    def __init__(self, *, proxy_url: Secret | None, ca_file: Path | None) -> None:
        self._proxy_url = proxy_url
        self._ca_file = ca_file
        self._silence_s: float | None = None
        self._proxied: ProxiedClient | None = None
        self._tls = trust_store(str(ca_file) if ca_file else None)
        self._idle: dict[Place, dict[Connection, float]] = {}
        self._sweeping: asyncio.TimerHandle | None = None
        if proxy_url is not None:
            self._by_proxy()  # now, and not while a call waits

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._sweeping is not None:
            self._sweeping.cancel()
        idle, self._idle = self._idle, {}
        for connections in idle.values():
            for connection in list(connections):
                connection.abort()
        if self._proxied is not None:
            await self._proxied.close()

    @property
    def late(self) -> int:
        """How many requests go on although they were cancelled."""
        return 0 if self._proxied is None else self._proxied.late

    def expect_silence(self, silence_s: float) -> None:
        """Say how long the relay bears silence; from then on late requests end soon after that."""
        self._silence_s = silence_s
        if self._proxied is not None:
            self._proxied.expect_silence(silence_s)

    async def post(
        self,
        url: str,
        *,
        headers: Headers,
        body: bytes,
        proxy_url: Secret | None,
        pin: Pin | None = None,
    ) -> UpstreamReply:
        """Send a POST and return its reply as soon as the head is there.

        With a `pin` the connection goes to that address, without a look-up of its own, unless it
        goes to a proxy.

        Raises:
            UpstreamFailure: No reply began; `sent` tells whether it may have been received.
        """
        through = proxy_url or self._proxy_url
        if through is not None:
            proxied = self._proxied or self._by_proxy()
            return await proxied.post(url, headers=headers, body=body, proxy_url=through)
        place, line = _parsed(url, pin)
        head = _head(line, headers, len(body))
        connection = self._kept(place) or await self._connect(place)
        return HttpReply(self, place, connection, await connection.request(head, body))

    def keep(self, place: Place, connection: Connection) -> None:
        """Take a connection back, to keep it if its reply has come to its end."""
        if not connection.release():
            return
        kept = self._idle.setdefault(place, {})
        if len(kept) >= IDLE_CONNECTIONS_MAX:
            connection.abort()
            return
        loop = asyncio.get_running_loop()
        kept[connection] = loop.time()
        if self._sweeping is None:
            self._sweeping = loop.call_later(IDLE_CONNECTION_S, self._sweep)

    def _by_proxy(self) -> "ProxiedClient":
        """Return the client for proxies, from the first request on that needs one."""
        from app.upstream.proxied import ProxiedClient  # noqa: PLC0415 - 9 MB that few need

        self._proxied = ProxiedClient(ca_file=self._ca_file)
        if self._silence_s is not None:
            self._proxied.expect_silence(self._silence_s)
        return self._proxied

    def _kept(self, place: Place) -> Connection | None:
        """Return the connection that was used last: so the others are idle, and end."""
        kept = self._idle.get(place)
        while kept:
            connection, _ = kept.popitem()
            if connection.free:
                return connection
        return None

    def _lost(self, place: Place, connection: Connection) -> None:
        self._idle.get(place, {}).pop(connection, None)

    def _sweep(self) -> None:
        """Close what has been idle for too long."""
        loop = asyncio.get_running_loop()
        before = loop.time() - IDLE_CONNECTION_S
        for place, kept in list(self._idle.items()):
            for connection in [one for one, since in kept.items() if since <= before]:
                connection.abort()
            if not kept:
                del self._idle[place]
        going_on = IDLE_CONNECTION_S / 2 if self._idle else None
        self._sweeping = loop.call_later(going_on, self._sweep) if going_on else None

    async def _connect(self, place: Place) -> Connection:
        loop = asyncio.get_running_loop()
        tls = Tls(self._tls, place.host) if place.secure else None
        connection = Connection(tls, partial(self._lost, place))
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                sock = await dial(place.address or place.host, place.port)
                await loop.create_connection(lambda: connection, sock=sock)
                await connection.secured()
        except TimeoutError:
            connection.abort()
            raise UpstreamFailure("connect timeout", sent=False, route=True) from None
        except OSError as error:
            connection.abort()
            raise UpstreamFailure(str(error), sent=False, route=True) from error
        except BaseException:
            connection.abort()
            raise
        return connection


@lru_cache(maxsize=1_024)
def _parsed(url: str, pin: Pin | None) -> tuple[Place, bytes]:
    """Return where a URL leads, and how a request for it begins."""
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS[parts.scheme]
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        host = parts.netloc.rpartition("@")[2]
        line = f"POST {target} HTTP/1.1\r\nhost: {host}\r\naccept: */*\r\n".encode("ascii")
    except (ValueError, KeyError):
        parts, line = None, b""
    if parts is None or not parts.hostname or line.count(b" ") != 4:
        raise UpstreamFailure("unusable URL", sent=False, route=True)
    if pin is None:
        return Place(parts.scheme == "https", parts.hostname, port), line
    if (parts.hostname, port) != (pin.host, pin.port):
        raise UpstreamFailure("pinned for another name", sent=False, route=True)
    return Place(parts.scheme == "https", parts.hostname, port, pin.address), line


def _head(line: bytes, headers: Headers, length: int) -> bytes:
    """Return the head of a request.

    Raises:
        UpstreamFailure: A header can't be sent.
    """
    fields = "".join([f"{name}: {value}\r\n" for name, value in headers])
    count = len(headers)
    if fields.count("\n") != count or fields.count("\r") != count or "\0" in fields:
        # Not a word of it: what can't be sent may be a secret.
        raise UpstreamFailure("unusable header", sent=False, route=True)
    try:
        return b"%bcontent-length: %d\r\n%b\r\n" % (line, length, fields.encode("latin-1"))
    except UnicodeEncodeError:
        raise UpstreamFailure("unusable header", sent=False, route=True) from None
