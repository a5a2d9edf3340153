"""Which models an account with an API key has, over HTTP: one GET with the account's own key.

It costs nothing, so it is the connection test too. The gateway asks as `app.upstream.asking` says.
Nothing is kept or tried again here.
"""

import asyncio
from typing import Final

import httpx
import msgspec
from msgspec import Struct

from app.domain.account import Account, AccountKind
from app.domain.enrolment import MODEL_CHARS_MAX, MODELS_MAX
from app.ports import ModelsUnavailable, UpstreamFailure
from app.upstream.addresses import Addresses, pinned
from app.upstream.asking import client_for
from app.upstream.auth_server import Route
from app.upstream.keyed import PLATFORM_URL, key_headers

TIMEOUT_S: Final = 10.0
BODY_BYTES_MAX: Final = 2 << 20


class _Model(Struct):
    id: str


class _Listing(Struct):
    data: list[_Model] | None = None


_LISTING: Final = msgspec.json.Decoder(_Listing)


class ModelListing:
    """Asks upstreams that are opened by a key; see `app.ports.ModelSource`. Needs no closing."""

    def __init__(self, *, user_agent: str, route: Route, addresses: Addresses) -> None:
        """Take the gateway's own name; of `route`, its timeout bounds each question."""
        self._user_agent = user_agent
        self._addresses = addresses
        self._route = route

    async def models(self, account: Account) -> tuple[str, ...]:
        """Return the names of the account's models, in the upstream's order.

        Raises:
            ModelsUnavailable: No answer in time, or none that is a list of models.
        """
        if account.kind is AccountKind.CODEX:
            raise ModelsUnavailable("a Codex account")
        base_url = account.base_url or PLATFORM_URL
        headers = [*key_headers(account, user_agent=self._user_agent),
                   ("accept", "application/json"), ("accept-encoding", "identity")]  # fmt: skip
        timeout_s = self._route.timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                url, host, extensions = pinned(
                    f"{base_url}/models", await self._addresses.pin(account)
                )
                async with (
                    client_for(account, self._route) as client,
                    client.stream(
                        "GET", url, headers=[*headers, *host], extensions=extensions
                    ) as reply,
                ):
                    return _names(await _body(reply))
        # The chain is cut: the library's exceptions hold the request, and so the key.
        except TimeoutError:
            raise ModelsUnavailable(f"no answer within {timeout_s:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise ModelsUnavailable(f"no answer: {type(error).__name__}") from None
        except UpstreamFailure as failure:
            raise ModelsUnavailable(str(failure)) from None


async def _body(reply: httpx.Response) -> bytes:
    if reply.status_code != 200:
        raise ModelsUnavailable(f"status {reply.status_code}", status=reply.status_code)
    if reply.headers.get("content-encoding", "identity") != "identity":
        raise ModelsUnavailable("the answer is encoded")
    body = bytearray()
    async for part in reply.aiter_raw():
        body += part
        if len(body) > BODY_BYTES_MAX:
            raise ModelsUnavailable("the answer is too large")
    return bytes(body)


def _names(body: bytes) -> tuple[str, ...]:
    try:
        listed = _LISTING.decode(body).data or []
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ModelsUnavailable("the answer is no list of models") from None
    names = dict.fromkeys(model.id for model in listed if _usable(model.id))
    return tuple(names)[:MODELS_MAX]


def _usable(name: str) -> bool:
    return 0 < len(name) <= MODEL_CHARS_MAX and name.isprintable() and name == name.strip()
