"""An account's usage over HTTP: one GET with the account's own credential. It costs no quota.

The gateway asks as `app.upstream.asking` says. Nothing is tried again here, and who is asked when
is not decided here.
"""

import asyncio
from typing import Final

import httpx

from app.domain.account import Account, AccountKind
from app.domain.quota import QuotaView
from app.ports import Clock, UsageUnavailable
from app.upstream.asking import client_for, own_headers
from app.upstream.auth_server import Route
from app.upstream.identity import Identity
from app.wire.quota import quota_usage, retry_after_s

TIMEOUT_S: Final = 10.0
BODY_BYTES_MAX: Final = 256 << 10


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
                client_for(account, self._route) as client,
                client.stream(
                    "GET", self._url, headers=own_headers(self._identity, account)
                ) as reply,
            ):
                return await self._read(reply)
        # The chain is cut: the library's exceptions hold the request, and so the token.
        except TimeoutError:
            raise UsageUnavailable(f"no answer within {timeout_s:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise UsageUnavailable(f"no answer: {type(error).__name__}") from None

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
