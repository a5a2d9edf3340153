"""The manifest of models over HTTP: one GET with one account's credential.

The gateway asks as `app.upstream.asking` says, under its own name: what it gets is shared by many
callers, so none of their headers goes along. Nothing is cached or tried again here.
"""

import asyncio
import re
from typing import Final

import httpx

from app.domain.account import Account, AccountKind
from app.ports import Manifest, ManifestUnavailable
from app.upstream.asking import client_for, own_headers
from app.upstream.auth_server import Route
from app.upstream.identity import Identity

TIMEOUT_S: Final = 10.0
BODY_BYTES_MAX: Final = 8 << 20

_ETAG: Final = re.compile(r"[\x21-\x7e]{1,256}")


class ManifestServer:
    """Asks the Codex backend; see `app.ports.ManifestSource`. Needs no closing."""

    def __init__(self, *, base_url: str, identity: Identity, route: Route) -> None:
        """Take the backend's base URL; of `route`, its timeout bounds each call."""
        self._url = base_url.rstrip("/") + "/codex/models"
        self._identity = identity
        self._route = route

    async def fetch(
        self, account: Account, client_version: str, if_none_match: str | None
    ) -> Manifest | None:
        """Return the manifest, or None if it still is the one that `if_none_match` names.

        Raises:
            ManifestUnavailable: No answer in time, or none that is a manifest.
        """
        if account.kind is not AccountKind.CODEX:
            raise ManifestUnavailable("not a Codex account")
        timeout_s = self._route.timeout_s
        try:
            async with (
                asyncio.timeout(timeout_s),
                client_for(account, self._route) as client,
                client.stream(
                    "GET",
                    self._url,
                    params={"client_version": client_version},
                    headers=self._headers(account, if_none_match),
                ) as reply,
            ):
                return await _manifest(reply, conditional=if_none_match is not None)
        # The chain is cut: the library's exceptions hold the request, and so the token.
        except TimeoutError:
            raise ManifestUnavailable(f"no answer within {timeout_s:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise ManifestUnavailable(f"no answer: {type(error).__name__}") from None

    def _headers(self, account: Account, if_none_match: str | None) -> list[tuple[str, str]]:
        headers = own_headers(self._identity, account)
        if if_none_match is not None:
            headers.append(("if-none-match", if_none_match))
        return headers


async def _manifest(reply: httpx.Response, *, conditional: bool) -> Manifest | None:
    if reply.status_code == 304 and conditional:
        return None
    if reply.status_code != 200:
        raise ManifestUnavailable(f"status {reply.status_code}")
    if reply.headers.get("content-encoding", "identity") != "identity":
        raise ManifestUnavailable("the answer is encoded")
    body = bytearray()
    async for part in reply.aiter_raw():
        body += part
        if len(body) > BODY_BYTES_MAX:
            raise ManifestUnavailable("the answer is too large")
    etag = reply.headers.get("etag", "")
    return Manifest(bytes(body), etag if _ETAG.fullmatch(etag) else "")
