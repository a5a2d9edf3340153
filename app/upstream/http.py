"""The data path's HTTP/1.1 client: pyreqwest behind the gateway's own words.

This is the only file that knows the library. It pools connections per proxy, keeps no cookies,
follows no redirect, asks for no compression and reads no proxy from the environment: with a
proxy configured there is no direct connection, ever. It owns no timeout but that of connecting;
how long a reply may take is the relay's business, and cancelling closes the connection.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final, Self

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
"""Distinct proxies in use at once; the one that was made first is closed to make room."""
READ_AHEAD_BYTES: Final = 256
"""How far the library reads ahead. Reading the next event while this one is handled saves a
quarter of an event's CPU (`make bench`), but the library hands out a reply only when this much of
its body is there, so it must be less than the first event of any upstream (a `response.created`
has 500 bytes and more): nothing else is ever held back."""
END_WAIT_S: Final = 0.25
"""How long the end of a body that has said its last word is waited for, to keep its connection."""

Headers = Sequence[tuple[str, str]]


class HttpReply:
    """One reply over HTTP; see `app.ports.UpstreamReply`."""

    __slots__ = ("_ended", "_reader", "_request", "headers", "status")

    def __init__(self, request: StreamRequest, response: Response) -> None:
        self._request = request
        self._reader = response.body_reader
        self._ended = False
        self.status: int = response.status
        self.headers: Headers = tuple(response.headers.items())

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


class HttpClient:
    """Connections to upstreams, pooled per proxy. Close it when nothing is in flight."""

    def __init__(self, *, proxy_url: Secret | None, ca_file: Path | None) -> None:
        self._proxy_url = proxy_url
        self._ca_pem = ca_file.read_bytes() if ca_file else None
        self._clients: dict[str, Client] = {}
        self._closing: list[Client] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for client in (*self._clients.values(), *self._closing):
            await client.close()

    async def post(
        self, url: str, *, headers: Headers, body: bytes, proxy_url: Secret | None
    ) -> HttpReply:
        """Send a POST and return its reply as soon as the head is there.

        Raises:
            UpstreamFailure: No reply began; `sent` tells whether it may have been received.
        """
        client = self._client(proxy_url or self._proxy_url)
        try:
            request = (
                client.post(url)
                .headers(headers)
                .body_bytes(body)
                .streamed_read_buffer_limit(READ_AHEAD_BYTES)
                .build_streamed()
            )
            return HttpReply(request, await request.__aenter__())
        except ConnectTimeoutError as error:
            # The library reports a wait for the head in the same words, so it proves nothing.
            raise UpstreamFailure("connect timeout", sent=True, route=True) from error
        except BuilderError as error:
            raise UpstreamFailure("unusable URL or proxy", sent=False, route=True) from error
        except PyreqwestError as error:
            sent = not _never_sent(error)
            raise UpstreamFailure(_reason(error), sent=sent, route=not sent) from error

    def _client(self, proxy_url: Secret | None) -> Client:
        key = proxy_url.reveal() if proxy_url else ""
        client = self._clients.get(key)
        if client is None:
            if len(self._clients) >= CLIENTS_MAX:
                self._closing.append(self._clients.pop(next(iter(self._clients))))
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
        )
        if self._ca_pem:
            builder = builder.add_root_certificate_pem(self._ca_pem)
        if proxy_url:
            builder = builder.proxy(ProxyBuilder.all(proxy_url))
        return builder.build()


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
