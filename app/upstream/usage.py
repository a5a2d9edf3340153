"""An account's usage over HTTP: one GET with the account's own credential. It costs no quota.

It belongs to the control plane, so it is asked for as credentials are renewed: on a connection and
with a client of its own, by way of the account's proxy or not at all, with nothing read from the
environment, no redirect followed and no cookie kept. The gateway asks under its own name. Nothing
is tried again here, and who is asked when is not decided here.
"""

import asyncio
from typing import Final

import httpx

from app.domain.account import Account, AccountKind, Secret
from app.domain.quota import QuotaView
from app.ports import Clock, UsageUnavailable
from app.upstream.auth_server import Route
from app.upstream.identity import Identity
from app.wire.quota import quota_usage, retry_after_s

TIMEOUT_S: Final = 10.0
BODY_BYTES_MAX: Final = 256 << 10

_CONNECT_TIMEOUT_S: Final = 4.0
_OF_A_CALL: Final = frozenset({"accept", "content-type"})


class WhamUsage:
    """Asks the Codex backend; see `app.ports.UsageServer`. Needs no closing."""

    def __init__(self, *, base_url: str, identity: Identity, route: Route, clock: Clock) -> None:
        """Take the backend's base URL; of `route`, its timeout bounds each question."""
        self._url = base_url.rstrip("/") + "/wham/usage"
        self._identity = identity
        self._route = route
        self._clock = clock

    async def usage(self, account: Account) -> QuotaView:
        """Return what the backend says about the account's limits, after one question.

        Raises:
            UsageUnavailable: No answer in time, or none that says anything about limits.
        """
        if account.kind is not AccountKind.CODEX:
            raise UsageUnavailable("not a Codex account")
        timeout_s = self._route.timeout_s
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._client(account.proxy_url or self._route.proxy_url) as client,
                client.stream("GET", self._url, headers=self._headers(account)) as reply,
            ):
                return await self._read(reply)
        # The chain is cut: the library's exceptions hold the request, and so the token.
        except TimeoutError:
            raise UsageUnavailable(f"no answer within {timeout_s:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise UsageUnavailable(f"no answer: {type(error).__name__}") from None

    def _headers(self, account: Account) -> list[tuple[str, str]]:
        own = self._identity.headers(account, (), lite=False)
        headers = [pair for pair in own if pair[0] not in _OF_A_CALL]
        # Unpacking could make more of a bounded answer than its bound.
        return [*headers, ("accept", "application/json"), ("accept-encoding", "identity")]

    def _client(self, proxy_url: Secret | None) -> httpx.AsyncClient:
        tls, timeout_s = self._route.tls, self._route.timeout_s
        proxy = None
        if proxy_url:
            url = httpx.URL(proxy_url.reveal())
            proxy = httpx.Proxy(url, ssl_context=tls if url.scheme == "https" else None)
        return httpx.AsyncClient(
            proxy=proxy,
            verify=tls,
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(timeout_s, connect=min(_CONNECT_TIMEOUT_S, timeout_s / 2)),
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=0),
        )

    async def _read(self, reply: httpx.Response) -> QuotaView:
        now = self._clock.now()
        if reply.status_code != 200:
            headers = [(name.lower(), value) for name, value in reply.headers.multi_items()]
            raise UsageUnavailable(
                f"status {reply.status_code}",
                refused=reply.status_code in {401, 403},
                retry_after_s=retry_after_s(headers, now=now),
            )
        if reply.headers.get("content-encoding", "identity") != "identity":
            raise UsageUnavailable("the answer is encoded")
        body = bytearray()
        async for part in reply.aiter_raw():
            body += part
            if len(body) > BODY_BYTES_MAX:
                raise UsageUnavailable("the answer is too large")
        view = quota_usage(bytes(body), now=now)
        if view is None:
            raise UsageUnavailable("the answer says nothing about limits")
        return view
