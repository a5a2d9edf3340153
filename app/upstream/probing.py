"""Asks servers whether they are there, and an account's upstream whether it lets the account in.

Nothing here spends anything: the usage page and the list of models cost no quota. The proxy that
is set is used or the probe fails, as for calls.
"""

from email.utils import parsedate_to_datetime

import httpx
from msgspec import Struct

from app.domain.account import Account, AccountKind, Secret
from app.ports import UpstreamFailure
from app.settings import Settings
from app.upstream.addresses import Addresses, Pin, pinned
from app.upstream.auth_server import trust_store
from app.upstream.identity import Identity
from app.upstream.keyed import PLATFORM_URL, key_headers

_TIMEOUT_S = 15.0


class Probe(Struct, frozen=True):
    """What came back: a status and the server's own time, or why there was no answer."""

    status: int | None
    reason: str = ""
    server_time: float | None = None


async def reach(settings: Settings, url: str) -> Probe:
    """Ask `url` for anything, without any credential."""
    return await _get(settings, url, headers=[], proxy_url=None)


async def ask_account(settings: Settings, account: Account) -> Probe:
    """Ask the account's upstream for something that only a good credential gets."""
    if account.kind is AccountKind.CODEX:
        identity = Identity(user_agent=settings.user_agent, originator=settings.originator)
        base_url = account.base_url or settings.upstream_base_url
        headers = identity.headers(account, (), lite=False)
        url = f"{base_url.rstrip('/')}/wham/usage"
        return await _get(settings, url, headers=headers, proxy_url=account.proxy_url)
    headers = key_headers(account, user_agent=settings.user_agent)
    names = Addresses(private=settings.private_names, proxied=bool(settings.proxy_url))
    try:
        pin = await names.pin(account)
    except UpstreamFailure as failure:
        return Probe(None, reason=str(failure))
    return await _get(
        settings,
        f"{(account.base_url or PLATFORM_URL).rstrip('/')}/models",
        headers=headers,
        proxy_url=account.proxy_url,
        pin=pin,
    )


async def _get(
    settings: Settings,
    url: str,
    *,
    headers: list[tuple[str, str]],
    proxy_url: Secret | None,
    pin: Pin | None = None,
) -> Probe:
    url, host, extensions = pinned(url, pin)
    proxy = proxy_url.reveal() if proxy_url else settings.proxy_url
    tls = trust_store(str(settings.ca_file) if settings.ca_file else None)
    try:
        async with (
            httpx.AsyncClient(
                proxy=proxy, verify=tls, trust_env=False, timeout=_TIMEOUT_S
            ) as client,
            # Only the head is read: the body is nobody's business and may be long.
            client.stream("GET", url, headers=[*headers, *host], extensions=extensions) as reply,
        ):
            return Probe(reply.status_code, server_time=_date(reply.headers.get("date")))
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        return Probe(None, reason=type(error).__name__)


def _date(text: str | None) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp() if text else None
    except ValueError:
        return None
