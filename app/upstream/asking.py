"""How the gateway asks the Codex backend a question of its own, with one account's credential.

Such a question belongs to the control plane: it goes over a connection and a client of its own, by
way of the account's proxy or not at all, with nothing read from the environment, no redirect
followed and no cookie kept, and under the gateway's own name. What is asked, and what an answer
means, is not known here.
"""

from typing import Final

import httpx

from app.domain.account import Account
from app.upstream.auth_server import Route
from app.upstream.identity import Identity

_CONNECT_TIMEOUT_S: Final = 4.0
_OF_A_CALL: Final = frozenset({"accept", "content-type"})


def own_headers(identity: Identity, account: Account) -> list[tuple[str, str]]:
    """Return the headers of a question whose answer is JSON."""
    own = identity.headers(account, (), lite=False)
    headers = [pair for pair in own if pair[0] not in _OF_A_CALL]
    # Unpacking could make more of a bounded answer than its bound.
    return [*headers, ("accept", "application/json"), ("accept-encoding", "identity")]


def client_for(account: Account, route: Route) -> httpx.AsyncClient:
    """Return a client for one question; close it after that.

    Raises:
        httpx.InvalidURL, ValueError: The proxy's URL can't be used.
    """
    tls, timeout_s = route.tls, route.timeout_s
    proxy_url = account.proxy_url or route.proxy_url
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
