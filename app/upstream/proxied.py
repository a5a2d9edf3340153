"""The way to an upstream through a proxy: pyreqwest behind the gateway's own words.

This is the only file that knows the library, which speaks HTTP and SOCKS with proxies, by TLS too.
It pools connections per proxy, keeps no cookies, follows no redirect, asks for no compression and
reads no proxy from the environment: there is no direct connection, ever. How long a reply may take
is the relay's business, and cancelling closes the connection.

With one exception: the library can't let go of a request whose head has not come. One that is
cancelled before goes on unheard and is closed when its head comes, or at the latest after the
silence that the relay would bear, plus a margin. Such late requests are counted (`late`), and
beyond `LATE_MAX` of them nothing is sent until some have ended.
"""

import asyncio
from collections.abc import Coroutine, Generator, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from types import coroutine
from typing import Any, Final

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import (
    BuilderError,
    ConnectError,
    ConnectTimeoutError,
    PyreqwestError,
)
from pyreqwest.proxy import ProxyBuilder
from pyreqwest.request import StreamRequest
from pyreqwest.response import Response

from app.domain.account import Secret
from app.ports import UpstreamFailure

CONNECT_TIMEOUT_S: Final = 10.0
IDLE_CONNECTION_S: Final = 30.0
IDLE_CONNECTIONS_MAX: Final = 512
CLIENTS_MAX: Final = 256
"""Distinct proxies in use at once; to make room the one that was made first is let go of, which
ends with the last of its replies."""
READ_AHEAD_BYTES: Final = 0
"""The library can read ahead, but then it hands out nothing, not even the head, until it has read
that much more: an event would wait for the next one, a caller who leaves would not be heeded."""
END_WAIT_S: Final = 0.25
"""How long the end of a body that has said its last word is waited for, to keep its connection."""

SILENCE_S: Final = 3_600.0
"""The longest silence that the runtime settings can allow."""
SILENCE_MARGIN_S: Final = 60.0
LATE_MAX: Final = 1_024
"""Requests that go on after they were cancelled: each holds a connection and its body."""

PROXY_SCHEMES: Final = ("http://", "https://", "socks5://", "socks5h://")

Headers = Sequence[tuple[str, str]]


class ProxiedReply:
    """One reply through a proxy; see `app.ports.UpstreamReply`."""

    __slots__ = ("_ended", "_reader", "_request", "headers", "status")

    messages = False
    retold = None
    feed = None

    def __init__(self, request: StreamRequest, response: Response) -> None:
        self._request = request
        self._reader = response.body_reader
        self._ended = False
        self.status: int = response.status
        self.headers: Headers = _headers(response)

    async def read(self) -> bytes | None:
        """Return the next piece of the body as it arrived, or None at its proper end."""
        try:
            piece = await self._reader.read_chunk()
        except PyreqwestError as error:
            raise UpstreamFailure(_reason(error), sent=True) from error
        if piece is None:
            self._ended = True
            return None
        return piece.to_bytes()

    async def finish(self) -> None:
        """Let go; a body that ends at once leaves its connection to the next request."""
        if not self._ended:
            try:
                async with asyncio.timeout(END_WAIT_S):
                    self._ended = await self._reader.read_chunk() is None
            except (PyreqwestError, TimeoutError):
                pass
        if not self._ended:
            await self.abort()

    async def abort(self) -> None:
        """Let go now; the upstream sees the connection close if the body had not ended."""
        await self._request.__aexit__(None, None, None)


class ProxiedClient:
    """Connections to upstreams, pooled per proxy. Close it when nothing is in flight."""

    def __init__(self, *, ca_file: Path | None) -> None:
        self._ca_pem = ca_file.read_bytes() if ca_file else None
        self._clients: dict[str, Client] = {}
        self._silence_s = SILENCE_S
        self._late: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """End all connections, and forget late requests."""
        for client in self._clients.values():
            await client.close()
        for task in self._late:
            task.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)

    @property
    def late(self) -> int:
        """How many requests go on although they were cancelled."""
        return len(self._late)

    def expect_silence(self, silence_s: float) -> None:
        """Say how long the relay bears silence; from then on late requests end soon after that.

        Replies under way keep the connections that they have.
        """
        if silence_s != self._silence_s:
            self._silence_s = silence_s
            self._clients.clear()

    async def post(
        self, url: str, *, headers: Headers, body: bytes, proxy_url: Secret
    ) -> ProxiedReply:
        """Send a POST and return its reply as soon as the head is there.

        Raises:
            UpstreamFailure: No reply began; `sent` tells whether it may have been received.
        """
        if len(self._late) >= LATE_MAX:
            raise UpstreamFailure("too many late requests", sent=False, route=True)
        try:
            request = (
                self._client(proxy_url)
                .post(url)
                .headers(headers)
                .body_bytes(body)
                .streamed_read_buffer_limit(READ_AHEAD_BYTES)
                .build_streamed()
            )
        except (ValueError, BuilderError):
            # The library's words quote what they complain of, which may be a secret.
            raise UpstreamFailure("unusable URL, proxy or header", sent=False, route=True) from None
        head = request.__aenter__()
        try:
            return ProxiedReply(request, await _sheltered(head))
        except asyncio.CancelledError:
            self._outlive(request, head)
            raise
        except ConnectTimeoutError as error:
            # The library reports a wait for the head in the same words, so it proves nothing.
            raise UpstreamFailure("connect timeout", sent=True, route=True) from error
        except BuilderError:
            raise UpstreamFailure("unusable URL or proxy", sent=False, route=True) from None
        except PyreqwestError as error:
            sent = not _never_sent(error)
            raise UpstreamFailure(_reason(error), sent=sent, route=not sent) from error

    def _outlive(self, request: StreamRequest, head: Coroutine[Any, Any, Response]) -> None:
        """Close the request as soon as that is possible, which is when its head has come."""
        task = asyncio.get_running_loop().create_task(_close_late(request, head))
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    def _client(self, proxy_url: Secret) -> Client:
        key = proxy_url.reveal()
        client = self._clients.get(key)
        if client is None:
            if len(self._clients) >= CLIENTS_MAX:
                del self._clients[next(iter(self._clients))]
            client = self._clients[key] = self._build(key)
        return client

    def _build(self, proxy_url: str) -> Client:
        # The library's switches take their value by position only.
        off, on = False, True
        builder = (
            ClientBuilder()
            .http1_only()
            .http1_lower_case_headers()
            .no_proxy()
            .follow_redirects(off)
            .referer(off)
            .default_cookie_store(off)
            .gzip(off)
            .brotli(off)
            .zstd(off)
            .deflate(off)
            .max_connections(None)
            .connect_timeout(timedelta(seconds=CONNECT_TIMEOUT_S))
            .pool_idle_timeout(timedelta(seconds=IDLE_CONNECTION_S))
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .tcp_nodelay(on)
            .tcp_keepalive(timedelta(seconds=30))
            .tcp_user_timeout(timedelta(seconds=60))
            .read_timeout(timedelta(seconds=self._silence_s + SILENCE_MARGIN_S))
        )
        if self._ca_pem:
            builder = builder.add_root_certificate_pem(self._ca_pem)
        # The library takes a proxy that it does not know for none at all.
        if not proxy_url.lower().startswith(PROXY_SCHEMES):
            raise ValueError(PROXY_SCHEMES)
        return builder.proxy(ProxyBuilder.all(proxy_url)).build()


def _headers(response: Response) -> Headers:
    """Return the reply's headers; a value that is no ASCII text is left out."""
    try:
        return tuple(response.headers.items())
    except ValueError:
        found: list[tuple[str, str]] = []
        for name in dict.fromkeys(response.headers.keys()):
            with suppress(ValueError):
                found += [(name, value) for value in response.headers.getall(name)]
        return found


@coroutine
def _sheltered(head: Coroutine[Any, Any, Response]) -> Generator[Any, None, Response]:
    """Await `head` without handing a cancellation on to it, so that it can be awaited again."""
    while True:
        try:
            waiting = head.send(None)
        except StopIteration as done:
            response: Response = done.value
            return response
        yield waiting


async def _close_late(request: StreamRequest, head: Coroutine[Any, Any, Response]) -> None:
    with suppress(PyreqwestError):
        await head
        await request.__aexit__(None, None, None)


def _never_sent(error: PyreqwestError) -> bool:
    """Tell whether connecting failed, which alone proves that the request never left.

    The library raises its `ConnectError` also when a reused connection closed under a request
    that was already on its way; only the cause in its chain tells the two apart.
    """
    return isinstance(error, ConnectError) and any(
        "(Connect)" in cause["message"] for cause in error.details["causes"] or ()
    )


def _reason(error: PyreqwestError) -> str:
    """Return the innermost cause, which says what happened; never the URL or a header."""
    details = getattr(error, "details", None)
    causes = (details or {}).get("causes") or [{"message": error.message}]
    return str(causes[-1]["message"])
